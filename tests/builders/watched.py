"""A log that a test writes, a platform that asks, and a watcher that looks at both."""

import base64
import json
import os
import uuid
from datetime import timedelta

from bailee.audit.keys import VerifierKey
from bailee.audit.store import Store
from bailee.audit.watch import Watcher
from bailee.v1 import receipt_pb2

from gateway.audit.entry import Decision, Entry, EntryType
from gateway.audit.leaf import encode_leaf
from gateway.audit.receipts import format_proof
from gateway.audit.tree import inclusion_path
from gateway.words.money import Money
from gateway.words.purposes import Purpose
from tests.builders.logs import ORIGIN, PUBLIC, SIGNER, a_log
from tests.builders.storage import NOW, SHOP

KEY = VerifierKey(ORIGIN, PUBLIC)
PRICE = Money(1999, "EUR")


class Shown:
    """See bailee.audit.sources.Source: whatever the operator shows."""

    def __init__(self):
        self.leaves = []
        self.signer = SIGNER
        self.committed = None  # the proof of an OperatorCommitment
        self.note = None  # an old checkpoint, if the operator replays one

    def checkpoint(self):
        return self.note or a_log(self.leaves, signer=self.signer).checkpoint()

    def commitment(self):
        return self.committed

    def entries(self, start, stop):
        yield from self.leaves[start:stop]


class Site:
    """The operator's log, the platform's journal, and a watcher."""

    def __init__(self, folder, **options):
        self.now = NOW
        self.shown = Shown()
        self.journal = folder / "journal.jsonl"
        self.journal.touch()
        self.store = Store(folder / "watch.db", origin=ORIGIN)
        self.watcher = Watcher(
            key=KEY,
            source=self.shown,
            store=self.store,
            journal=self.journal,
            **options,
        )

    def look(self, **passed):
        """Lets time pass, looks, and returns the kinds of what is new."""
        self.now += timedelta(**passed)
        self.report = self.watcher.look(self.now)
        return [str(finding.kind) for finding in self.report.findings]

    def text(self):
        """Returns everything that the last look said."""
        return "\n".join(finding.show() for finding in self.report.findings)

    # What the platform does

    def ask(self, rpc="CreatePayment", **changes):
        """Writes a request into the journal and returns its id."""
        asked = {
            "request_id": str(uuid.uuid4()),
            "rpc": rpc,
            "merchant": SHOP,
            "at": "2026-11-25T12:00:00.000Z",
            "purpose": "payment.recurring",
            "amount": PRICE.minor_units,
            "currency": PRICE.currency,
        }
        asked |= changes
        self._write({"asked": asked})
        return asked["request_id"]

    def receive(self, request_id, index=None, result="OK"):
        """Writes the answer, with the receipt of an entry of the log as shown now."""
        answered = {"request_id": request_id, "result": result, "at": "now"}
        if index is not None:
            answered["receipt"] = encoded(a_receipt(self.shown.leaves, index))
        self._write({"answered": answered})

    def _write(self, line):
        with self.journal.open("a") as stream:
            stream.write(json.dumps(line) + "\n")

    # What the gateway does

    def append(self, kind, **changes):
        """Adds an entry and returns its place."""
        values = {"type": kind, "merchant": SHOP, "at": self.now, "caller": "billing"}
        entry = Entry(**values | changes)
        self.shown.leaves.append(encode_leaf(entry, build="test"))
        return len(self.shown.leaves) - 1

    def use(self, request_id, kind=EntryType.USE_INTENT, **changes):
        """Adds an entry of a use; by default the intent of a recurring charge."""
        values = {
            "request_id": request_id,
            "action": "charge",
            "purpose": Purpose.RECURRING,
            "policy_version": 1,
            "policy_sha256": "ab" * 32,
            "decision": Decision.ALLOWED,
            "rule": "granted",
            "payment": "pay_1",
            "amount": PRICE,
            "card": "card_1",
            "card_salt": os.urandom(16),
        }
        return self.append(kind, **values | changes)

    def settle(self, request_id, outcome="CAPTURED"):
        """Adds the outcome of a use."""
        return self.use(
            request_id, EntryType.USE_OUTCOME, outcome=outcome, card_opened=True
        )

    def charge(self):
        """Does a whole honest charge and returns its request id."""
        request_id = self.ask()
        self.use(request_id)
        index = self.settle(request_id)
        self.receive(request_id, index)
        return request_id


def a_receipt(leaves, index, signer=SIGNER):
    """Returns the receipt that the gateway gives for an entry."""
    log = a_log(leaves, signer=signer)
    path = inclusion_path(index, len(leaves), log.node)
    proof = format_proof(index, path, log.checkpoint())
    return receipt_pb2.Receipt(entry=leaves[index], proof=proof)


def encoded(receipt):
    return base64.b64encode(receipt.SerializeToString()).decode()
