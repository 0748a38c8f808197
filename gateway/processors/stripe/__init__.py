"""Charging through Stripe, with its official SDK. See docs/processors/stripe.md."""
