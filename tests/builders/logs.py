"""Logs of one merchant, and exports of them on disk."""

from datetime import timedelta

from gateway.audit.checkpoint import origin_of
from gateway.audit.entry import Decision, Entry, EntryType, PreviousLog
from gateway.audit.export import write_export
from gateway.audit.leaf import encode_leaf
from gateway.words.money import Money
from gateway.words.purposes import Purpose
from tests.builders.storage import NOW, SHOP, VAULT, a_signer
from tests.fakes.log_reader import MemoryLog

SIGNER = a_signer()
PUBLIC = SIGNER.public_key
ORIGIN = origin_of(VAULT, SHOP, 1)
BUILD = "0.1.0"


def a_full_entry(**changes):
    """Returns an entry of a use, with every field that such an entry may have."""
    values = {
        "type": EntryType.USE_INTENT,
        "merchant": SHOP,
        "at": NOW,
        "caller": "spiffe://vault.example/caller/billing",
        "request_id": "6f2c1d4e-8a3b-4c5d-9e7f-0a1b2c3d4e5f",
        "action": "charge",
        "purpose": Purpose.RECURRING,
        "policy_version": 3,
        "policy_sha256": "ab" * 32,
        "decision": Decision.ALLOWED,
        "rule": "granted",
        "payment": "pay_bcdfghjklmnpqrstvwxzbcdfghjklmn",
        "processor_account": "stripe-live",
        "environment": "live",
        "amount": Money(1999, "EUR"),
        "card_opened": True,
        "outcome": "CAPTURED",
        "card": "card_bcdfghjklmnpqrstvwxzbcdfghjklmn",
        "card_salt": bytes(range(16)),
        "processor_object": "pi_3Example",
        "object_salt": bytes(range(16, 32)),
    }
    return Entry(**values | changes)


def a_fullest_entry(**changes):
    """Returns an entry that has every field of the format."""
    added = {
        "subject": "spiffe://x",
        "count": 12,
        "effective_at": NOW,
        "previous": PreviousLog(ORIGIN, 150, b"r" * 32, 120),
    }
    return a_full_entry(**added | changes)


def a_leaf(number, **changes):
    """Returns a small leaf, different for each number."""
    entry = Entry(
        type=EntryType.PAYMENT_OUTCOME,
        merchant=changes.get("merchant", SHOP),
        at=NOW + timedelta(seconds=number),
        caller="test",
        amount=Money(number, "EUR"),
    )
    return encode_leaf(entry, build=BUILD)


def leaves_of(size):
    return [a_leaf(number) for number in range(size)]


def a_log(leaves, *, origin=ORIGIN, signer=SIGNER):
    return MemoryLog(leaves, origin=origin, signer=signer)


def an_export(folder, size):
    """Writes an export of a log of this many entries and returns its folder."""
    target = folder / f"export-{size}"
    write_export(target, a_log(leaves_of(size)), origin=ORIGIN, public_key=PUBLIC)
    return target
