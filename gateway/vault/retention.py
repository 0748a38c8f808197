"""How long a card may be kept.

A card is needed until its expiry month ends or until it was last used, whichever is
later. From then on the policy in force says how many days it may still be kept.
"""

from datetime import datetime, timedelta

from gateway.policy.permissions import Permissions
from gateway.vault.ports import StoredCard


def needed_until(card: StoredCard) -> datetime:
    """Returns when the card was, or will have been, needed for the last time."""
    used_at = card.last_used_at or card.created_at
    return used_at if card.expiry is None else max(used_at, card.expiry.ends_at)


def retain_until(card: StoredCard, permissions: Permissions) -> datetime:
    """Returns the moment from which the card may not be kept any more."""
    days = permissions.retention_days(card.mandate.purposes)
    return needed_until(card) + timedelta(days=days)
