"""Sealing data under a fresh data key, bound to its place.

Layout of a sealed value: format (1 byte) || nonce (12) || ciphertext and tag.
"""
