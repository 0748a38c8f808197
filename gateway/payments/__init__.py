"""The life of a payment, from intent to outcome. See docs/architecture.md."""
