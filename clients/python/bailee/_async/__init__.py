"""The client on asyncio. ``python -m tests.client.generate`` derives ``_sync``."""
