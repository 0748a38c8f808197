"""Cards at rest, and the one door through which a card opens: card_access.py."""
