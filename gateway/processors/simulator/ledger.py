"""The simulated bank and processor: executes requests and remembers its answers.

It behaves like Stripe where that hurts. Invariants:
  * The first answer to an idempotency key is kept and replayed for 24 hours, declines
    and stored errors included; the same key with another request is refused. A request
    that fails validation is not kept.
  * Same requests at the same times, same answers: nothing is drawn but the ledger's
    name and salt, once.
  * The file holds each change together with the answer that tells of it, or neither.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from gateway.errors import StorageUnavailable
from gateway.processors.simulator.books import Books, Moment
from gateway.processors.simulator.forms import (
    CaptureForm,
    CardForm,
    ConfirmForm,
    PaymentForm,
    RefundForm,
    read_metadata_alone,
)
from gateway.processors.simulator.journal import Journal
from gateway.processors.simulator.records import Json, PaymentRecord, Record
from gateway.processors.simulator.refusals import Refusal, declined, refused
from gateway.processors.simulator.wire import Answer, Operation, Request
from gateway.words.clock import Clock, SystemClock

IDEMPOTENCY_WINDOW: Final = timedelta(hours=24)

_VERSION: Final = 1
_KEY_MAX: Final = 255
_NAME_LETTERS: Final = "bcdfghjklmnpqrstvwxz"
_READS: Final = (Operation.READ, Operation.SEARCH)
# Codes of requests that failed validation: nothing was executed, nothing is kept.
_INVALID: Final = ("parameter_", "amount_invalid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Directions:
    """How one request is bent: see faults.py.

    ``answer`` is kept for the key in place of the true one; with ``execute`` off
    nothing else happens.
    """

    decline_code: str = ""
    answer: Answer | None = None
    execute: bool = True


_PLAIN: Final = Directions()


@dataclass(frozen=True, slots=True)
class _Kept:
    """What came of the first execution under a key."""

    digest: str
    answer: Answer
    at: int


class Ledger:
    """Executes requests, one at a time. ``handle`` is the processor's whole interface.

    Args:
        file: Where to keep it; None keeps it in memory.
        clock: Tells the time; ``advance`` moves it on.
        name: Part of every id; drawn when not given.
        public_url: Where cardholders reach it to authenticate.

    Raises:
        StorageUnavailable: Another process has the file, or it is not a ledger.
    """

    def __init__(
        self,
        file: Path | None = None,
        clock: Clock | None = None,
        *,
        name: str = "",
        public_url: str = "https://simulator.invalid",
    ) -> None:
        self._clock = clock or SystemClock()
        self._ahead = timedelta()
        self._keys: dict[str, _Kept] = {}
        self.journal = None if file is None else Journal.open(file)
        lines = [] if self.journal is None else self.journal.lines
        head = lines[0] if lines else _new_head(name)
        try:
            _check_head(head)
            self._salt = bytes.fromhex(head["salt"])
            self.books = Books(name=head["name"], public_url=public_url)
            for event in lines[1:]:
                self._restore(event)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            self.close()
            raise StorageUnavailable from error
        if self.journal is not None and not lines:
            self.journal.append(head)
        lines.clear()

    def now(self) -> datetime:
        """Returns the simulated time."""
        return self._clock.now() + self._ahead

    def handle(self, request: Request, directions: Directions = _PLAIN) -> Answer:
        """Executes a request, or replays the kept answer to its key.

        Raises:
            StorageUnavailable: The file cannot be written; nothing was answered.
        """
        moment = Moment(self.now(), directions.decline_code)
        if request.operation in _READS:
            return directions.answer or self._look(request, moment)
        if not 0 < len(request.key) <= _KEY_MAX:
            return _answer(refused(400, "idempotency_key_missing"))
        self._forget_old(moment.seconds)
        digest = self._digest(request)
        kept = self._keys.get(request.key)
        if kept is not None:
            if not hmac.compare_digest(kept.digest, digest):
                error = {"type": "idempotency_error", "code": "idempotency_mismatch"}
                return Answer(400, {"error": error})
            return Answer(kept.answer.status, kept.answer.body, replayed=True)
        try:
            answer = self._execute(request, moment, directions)
        except Refusal as refusal:
            answer = _answer(refusal)
            if str(refusal).startswith(_INVALID):
                return answer
        answer = directions.answer or answer
        self._keep(request, _Kept(digest, answer, moment.seconds))
        return answer

    # What tests and the control interface use

    def payments(self) -> list[Json]:
        """Returns every payment, oldest first."""
        return [payment.show() for payment in self.books.payments.values()]

    def dump(self) -> list[Json]:
        """Returns every record of the ledger; each has a ``kind``."""
        return [record.show() for record in self.books.records()]

    def advance(self, by: timedelta) -> None:
        """Moves the simulated time on."""
        self._ahead += by
        ahead = {"ahead_seconds": self._ahead.total_seconds()}
        self._write("clock", self._seconds(), ahead)

    def prune_keys(self) -> None:
        """Forgets every idempotency key, as if its 24 hours had passed."""
        self._keys.clear()
        self._write("prune", self._seconds(), {})

    def authenticate(self, payment: str, *, succeeded: bool) -> PaymentRecord:
        """Does what the cardholder does at the redirect_url.

        Raises:
            Refusal: The payment does not wait for the cardholder.
        """
        moment = Moment(self.now())
        changed = self.books.authenticate(payment, moment, succeeded=succeeded)
        records = {"records": _shown(self.books.take_changes())}
        self._write("authentication", moment.seconds, records)
        return changed

    def close(self) -> None:
        """Lets the file go. May be called twice."""
        if self.journal is not None:
            self.journal.close()

    def _seconds(self) -> int:
        return Moment(self.now()).seconds

    # Execution

    def _execute(
        self, request: Request, moment: Moment, directions: Directions
    ) -> Answer:
        if not directions.execute and directions.answer is not None:
            return directions.answer
        record = self._act(request, moment)
        shown = record.show()
        if request.operation is Operation.PAYMENT and shown["decline_code"]:
            return _answer(declined(shown["decline_code"], shown))
        return Answer(200, shown)

    def _act(  # noqa: PLR0911 - one return for each operation
        self, request: Request, moment: Moment
    ) -> Record:
        books, body = self.books, request.body
        match request.operation:
            case Operation.CUSTOMER:
                return books.open_customer(read_metadata_alone(body), moment)
            case Operation.PAYMENT_METHOD:
                return books.open_payment_method(CardForm.read(body), moment)
            case Operation.PAYMENT:
                return books.open_payment(PaymentForm.read(body), moment)
            case Operation.CONFIRM:
                return books.confirm(request.target, ConfirmForm.read(body), moment)
            case Operation.CAPTURE:
                return books.capture(request.target, CaptureForm.read(body), moment)
            case Operation.CANCEL:
                read_metadata_alone(body)
                return books.cancel(request.target, moment)
            case Operation.REFUND:
                return books.refund(RefundForm.read(body), moment)
            case _:
                raise refused(404, "resource_missing")

    def _look(self, request: Request, moment: Moment) -> Answer:
        try:
            if request.operation is Operation.READ:
                return Answer(200, self.books.payment(request.target, moment).show())
            query = request.body
            customer = str(query.get("customer", ""))
            created_from = int(query.get("created_from", 0))
            found = self.books.search(customer, created_from, moment)
            return Answer(200, {"data": [payment.show() for payment in found]})
        except Refusal as refusal:
            return _answer(refusal)
        except ValueError:
            return _answer(refused(400, "parameter_invalid", "created_from"))

    # Keys

    def _digest(self, request: Request) -> str:
        """Returns what tells one request from another; nothing of a card goes in.

        A number counts by its last four digits. A security code does not count: it
        must not live longer than its call, not even in a digest (PCI DSS 3.3.1).
        """
        body: Mapping[str, Any] = request.body
        if request.operation is Operation.PAYMENT_METHOD:
            card = body.get("card")
            card = dict(card) if isinstance(card, dict) else {}
            card["number"] = str(card.get("number", ""))[-4:]
            card["security_code"] = ""
            body = {**body, "card": card}
        text = json.dumps([request.operation, request.target, body], sort_keys=True)
        return hmac.digest(self._salt, text.encode(), hashlib.sha256).hex()

    def _forget_old(self, seconds: int) -> None:
        ends = seconds - IDEMPOTENCY_WINDOW.total_seconds()
        while self._keys:
            oldest = next(iter(self._keys))
            if self._keys[oldest].at > ends:
                return
            del self._keys[oldest]

    def _keep(self, request: Request, kept: _Kept) -> None:
        changed = self.books.take_changes()
        if self.journal is not None:
            answer = {
                "key": request.key,
                "digest": kept.digest,
                "status": kept.answer.status,
                "body": kept.answer.body,
            }
            self._write(
                request.operation, kept.at, {"records": _shown(changed), "kept": answer}
            )
        self._keys[request.key] = kept

    # The file

    def _write(self, kind: str, at: int, facts: Json) -> None:
        if self.journal is not None:
            self.journal.append({"kind": kind, "at": at, **facts})

    def _restore(self, event: Json) -> None:
        for shown in event.get("records", ()):
            self.books.restore(shown)
        kept = event.get("kept")
        if kept is not None:
            answer = Answer(kept["status"], kept["body"])
            self._keys[kept["key"]] = _Kept(kept["digest"], answer, event["at"])
        if event["kind"] == "clock":
            self._ahead = timedelta(seconds=event["ahead_seconds"])
        if event["kind"] == "prune":
            self._keys.clear()


def _new_head(name: str) -> Json:
    letters = name or "".join(secrets.choice(_NAME_LETTERS) for _ in range(8))
    return {
        "kind": "ledger",
        "version": _VERSION,
        "name": letters,
        "salt": secrets.token_hex(16),
    }


def _check_head(head: Json) -> None:
    if (head["kind"], head["version"]) != ("ledger", _VERSION):
        raise ValueError("not a ledger of this version")


def _shown(records: list[Record]) -> list[Json]:
    return [record.show() for record in records]


def _answer(refusal: Refusal) -> Answer:
    return Answer(refusal.status, {"error": refusal.error})
