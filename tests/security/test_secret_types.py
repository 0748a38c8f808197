"""What shows a secret: one word that can be searched for, and no repr. covers: I1."""

import ast
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import gateway
from gateway.audit.entry import Entry, EntryType
from gateway.audit.ports import Receipt
from gateway.cards.details import BillingDetails
from gateway.cards.pan import Pan
from gateway.storage.log_rows import Scope
from gateway.storage.log_writer import AppendedEntry, Extension, Head
from gateway.vault.card_access import OpenedCard, Use
from gateway.words.purposes import Purpose, Verb
from tests.builders.storage import SHOP

SOURCE = Path(gateway.__file__).parent
SALT = b"a-salt-of-16-byt"

# Whoever reads the digits of a card or a code, or a processor's key, and how often.
REVEALING = {
    "cards/brands.py": 1,  # the length of a security code
    "processors/simulator/processor.py": 2,
    "processors/stripe/credentials.py": 2,
    "processors/stripe/requests.py": 2,
    "vault/card_record.py": 1,
    "vault/fingerprint.py": 1,
}


def revealed_in(path):
    """Returns how often a file speaks of ``reveal``, called or not."""
    tree = ast.parse(path.read_text("utf-8"))
    return sum(
        isinstance(node, ast.Attribute) and node.attr == "reveal"
        for node in ast.walk(tree)
    )


class TestReveal:
    def test_is_used_where_this_list_says_and_nowhere_else(self):
        counts = Counter(
            {
                str(path.relative_to(SOURCE)): count
                for path in SOURCE.rglob("*.py")
                if (count := revealed_in(path))
            }
        )

        assert counts == REVEALING


class TestRepr:
    """A salt beside a card's name would undo the erasure of the link between both."""

    def test_of_an_entry_shows_no_salt(self):
        entry = Entry(
            type=EntryType.CARD_TOKENIZED,
            merchant=SHOP,
            at=datetime(2026, 11, 25, tzinfo=UTC),
            caller="test",
            card="card_x",
            card_salt=SALT,
            processor_object="pi_1",
            object_salt=SALT,
        )

        assert "salt-of" not in repr(entry)

    def test_of_a_receipt_shows_no_salt(self):
        receipt = Receipt(b"{}", "proof", SALT, SALT)

        assert "salt-of" not in repr(receipt)

    def test_of_an_appended_entry_shows_no_salt(self):
        extension = Extension(Scope(SHOP), Head("origin", None), None)
        appended = AppendedEntry(extension, 0, b"{}", "card_x", SALT, SALT)
        extension.entries.append(appended)

        assert "salt-of" not in repr(appended) + repr(extension)

    def test_of_a_use_shows_no_salt(self):
        use = Use(
            merchant=SHOP,
            token="card_x",
            verb=Verb.CHARGE,
            purpose=Purpose.CUSTOMER_INITIATED,
            caller="test",
            request_id="r",
            at=datetime(2026, 11, 25, tzinfo=UTC),
            card_salt=SALT,
        )

        assert "salt-of" not in repr(use)

    def test_of_an_opened_card_shows_nothing_of_it(self):
        opened = OpenedCard(
            number=Pan("4242424242424242"), billing=BillingDetails(name="Ada Marked")
        )

        assert "4242" not in repr(opened)
        assert "Marked" not in repr(opened)
