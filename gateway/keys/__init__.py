"""The key hierarchy: epoch keys, wrapping keys, data keys. See docs/keys.md."""
