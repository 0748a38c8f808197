"""A log that its operator rewrites, and everybody else's evidence beside it."""

import base64
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from bailee import new_request_id
from bailee.audit.keys import VerifierKey
from bailee.audit.store import Store
from bailee.audit.watch import Report, Watcher
from bailee.v1 import receipt_pb2

from gateway.audit.checkpoint import checkpoint_text, signed_note
from gateway.audit.leaf import show_time
from gateway.audit.receipts import format_proof
from gateway.audit.tree import (
    EMPTY,
    Growth,
    find_among,
    grow,
    inclusion_path,
    leaf_hash,
)
from gateway.merchants.ports import ProcessorAccount
from gateway.payments.reconcile import ListedPayment, read_uses, reconcile

_YEAR: Final = timedelta(days=400)
Sign = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Honest:
    """The state of everything when the operator turns."""

    key: VerifierKey
    sign: Sign
    leaves: Sequence[bytes]
    listed: Sequence[ListedPayment]
    account: ProcessorAccount
    journal: Path
    store: Path
    now: datetime


class Shown:
    """See bailee.audit.sources.Source: what the operator shows to one reader."""

    def __init__(self, key: VerifierKey, sign: Sign, leaves: Sequence[bytes]) -> None:
        self.key = key
        self.sign = sign
        self.leaves = list(leaves)
        self.replayed = ""

    def checkpoint(self) -> str:
        """See Source.checkpoint; signed anew, whatever the leaves are."""
        return self.replayed or self.sign_anew()

    def sign_anew(self) -> str:
        """Returns a signed checkpoint of the leaves as they are."""
        root = self._grow().frontier.root()
        text = checkpoint_text(self.key.name, len(self.leaves), root)
        return signed_note(text, self.key.name, self.key.public_key, self.sign(text))

    def commitment(self) -> None:
        """See Source.commitment: he shows none."""

    def entries(self, start: int, stop: int) -> Iterator[bytes]:
        """See Source.entries."""
        yield from self.leaves[start:stop]

    def receipt(self, index: int) -> receipt_pb2.Receipt:
        """Returns the receipt of an entry, as the gateway gives it."""
        node = find_among(EMPTY, self._grow().nodes)
        path = inclusion_path(index, len(self.leaves), node)
        proof = format_proof(index, path, self.sign_anew())
        return receipt_pb2.Receipt(entry=self.leaves[index], proof=proof)

    def _grow(self) -> Growth:
        return grow(EMPTY, [leaf_hash(leaf) for leaf in self.leaves])


class Case:
    """One attack's own copy of the log, the journal, the watcher and the books."""

    def __init__(self, honest: Honest, folder: Path) -> None:
        self.honest = honest
        self.now = honest.now
        self.shown = Shown(honest.key, honest.sign, honest.leaves)
        self.listed = list(honest.listed)
        self.journal = folder / "journal.jsonl"
        shutil.copyfile(honest.journal, self.journal)
        shutil.copyfile(honest.store, folder / "watch.db")
        self._stores = [Store(folder / "watch.db", origin=honest.key.name)]
        self._folder = folder
        self.watcher = Watcher(
            key=honest.key,
            source=self.shown,
            store=self._stores[0],
            journal=self.journal,
        )

    def look(self) -> Report:
        """The platform's watcher looks."""
        return self.watcher.look(self.now)

    def newcomer(self, shown: Shown) -> Watcher:
        """Returns the watcher of somebody who never looked before."""
        store = Store(self._folder / "newcomer.db", origin=self.honest.key.name)
        self._stores.append(store)
        return Watcher(key=self.honest.key, source=shown, store=store)

    def compare_with_books(self) -> list[str]:
        """Returns what differs between the log and the processor's list."""
        lines = reconcile(
            read_uses(self.shown.leaves),
            self.listed,
            account=self.honest.account,
            start=self.now - _YEAR,
            end=self.now + _YEAR,
        )
        return [f"{line.match}: {line.text}" for line in lines if line.is_alarm]

    def pass_time(self, passed: timedelta) -> None:
        """Lets time pass for everybody but the operator."""
        self.now += passed

    def close(self) -> None:
        """Closes the watchers' memories."""
        for store in self._stores:
            store.close()

    # What the platform does

    def ask(self, **changes: Any) -> str:  # noqa: ANN401 - fields of a journal's line
        """Asks for a charge, in the journal; returns the request's id."""
        asked = {
            "request_id": new_request_id(),
            "rpc": "CreatePayment",
            "merchant": "shop",
            "at": show_time(self.now),
            "purpose": "payment.recurring",
            "amount": 1999,
            "currency": "EUR",
        } | changes
        self._write({"asked": asked})
        return str(asked["request_id"])

    def receive(self, request_id: str, index: int) -> None:
        """Gets the answer, with the receipt of an entry as it is now."""
        receipt = self.shown.receipt(index).SerializeToString()
        answered = {
            "request_id": request_id,
            "result": "OK",
            "at": show_time(self.now),
            "receipt": base64.b64encode(receipt).decode(),
        }
        self._write({"answered": answered})

    def _write(self, line: dict[str, Any]) -> None:
        with self.journal.open("a") as stream:
            stream.write(json.dumps(line) + "\n")

    # What the operator does

    def log_use(self, request_id: str, **changes: Any) -> int:  # noqa: ANN401 - fields of an entry
        """Logs a charge as the gateway does; returns where its outcome is.

        The fields are those of the last honest charge, but for the ids and ``changes``.
        """
        for kind in ("use.intent", "use.outcome"):
            model = next(
                facts
                for facts in map(json.loads, reversed(self.honest.leaves))
                if facts["type"] == kind and facts.get("outcome") in (None, "CAPTURED")
            )
            new = {
                "request_id": request_id,
                "payment": f"pay_{request_id[:8]}",
                "time": show_time(self.now),
            }
            self.shown.leaves.append(encode(model | new | changes))
        return len(self.shown.leaves) - 1

    def log_event(self, **facts: Any) -> None:  # noqa: ANN401 - fields of an entry
        """Logs an event of the gateway's own."""
        model = json.loads(self.honest.leaves[0])
        kept = {name: model[name] for name in ("build", "caller", "merchant", "v")}
        self.shown.leaves.append(encode(kept | {"time": show_time(self.now)} | facts))

    def alter(self, index: int, **changes: Any) -> None:  # noqa: ANN401 - fields of an entry
        """Changes an entry."""
        facts = json.loads(self.shown.leaves[index])
        self.shown.leaves[index] = encode(facts | changes)

    def charge_at_processor(self, payment: str, **changes: Any) -> None:  # noqa: ANN401 - fields of the list
        """Charges a card of the merchant's account, as the processor will list it."""
        model = self.honest.listed[0]
        made = replace(
            model,
            processor_object=f"pi_{len(self.listed)}",
            payment=payment,
            captured=model.amount.minor_units,
            refunded=0,
            created_at=self.now,
        )
        self.listed.append(replace(made, **changes))


class HonestSource:
    """See bailee.audit.sources.Source: the gateway's own log, as it grows."""

    def __init__(self, year: Any) -> None:  # noqa: ANN401 - demo_year.Year, which imports nothing of this
        self._year = year

    def checkpoint(self) -> str:
        """See Source.checkpoint."""
        log = self._year.gateway.storage.stored_log("shop")
        return str(log.checkpoint())

    def commitment(self) -> None:
        """See Source.commitment."""

    def entries(self, start: int, stop: int) -> Iterator[bytes]:
        """See Source.entries."""
        yield from self._year.leaves()[start:stop]


def encode(facts: dict[str, Any]) -> bytes:
    """Returns canonical JSON: for these entries, sorted keys without spaces."""
    return json.dumps(
        facts, ensure_ascii=False, separators=(",", ":"), sort_keys=True
    ).encode()
