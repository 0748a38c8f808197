"""Bailee: a billing-data tokenization gateway. Start at gateway/app.py."""
