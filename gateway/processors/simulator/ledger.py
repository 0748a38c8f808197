"""The simulated bank: its own record of customers, cards, payments and refunds.

It behaves like Stripe where that hurts: the first answer to an idempotency key is
stored and replayed, declines and errors included; the same key with another body is
refused; a card that is not attached to a customer works once.

The ledger is kept as JSON lines when given a file, and holds no card number.
"""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from gateway.processors.simulator.cards import behaviour_of
from gateway.words.clock import Clock, SystemClock

Body = dict[str, Any]

IDEMPOTENCY_WINDOW: Final = timedelta(hours=24)
AUTHORIZATION_LIFETIME: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP-like answer."""

    status: int
    body: Body


@dataclass(slots=True)
class _Stored:
    """The first execution of an idempotency key."""

    body: str
    answer: Answer
    at: datetime


@dataclass(slots=True)
class Faults:
    """What goes wrong next; each is used up by one request whose path matches."""

    armed: list[tuple[str, str]] = field(default_factory=list)

    def peek(self, path: str) -> str | None:
        """Returns the fault armed for this path and leaves it armed."""
        return next((fault for wanted, fault in self.armed if wanted in path), None)

    def take(self, path: str) -> str | None:
        """Returns the fault armed for this path, once."""
        for place, (wanted, fault) in enumerate(self.armed):
            if wanted in path:
                del self.armed[place]
                return fault
        return None


class Lost(Exception):
    """The request or its answer is lost on the way."""


class Ledger:
    """Executes requests. ``handle`` is the whole interface."""

    def __init__(self, file: Path | None = None, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._file = file
        self.faults = Faults()
        self.objects: dict[str, Body] = {}
        self._keys: dict[str, _Stored] = {}
        if file is not None and file.exists():
            for line in file.read_text("utf-8").splitlines():
                self._read(json.loads(line))

    def handle(
        self, method: str, path: str, key: str, body: Mapping[str, Any]
    ) -> Answer:
        """Executes a request as a processor would.

        Raises:
            Lost: The fault said so: before anything moved, or after.
        """
        fault = self.faults.take(path)
        if fault == "drop_before":
            raise Lost
        if fault == "429":
            return _error(429, "rate_limit")
        if fault == "500":
            return _error(500, "internal")
        if method == "GET":
            return self._read_objects(path, body)
        text = json.dumps([path, body], sort_keys=True)
        stored = self._keys.get(key)
        if stored is not None and self._clock.now() - stored.at < IDEMPOTENCY_WINDOW:
            if stored.body != _without_secrets(text):
                return _error(400, "idempotency_mismatch")
            answer = stored.answer
        else:
            answer = self._execute(path, dict(body))
            if fault == "500_stored":
                answer = _error(500, "internal")
            self._remember(key, text, answer)
        if fault == "drop_after":
            raise Lost
        return answer

    def prune_keys(self) -> None:
        """Forgets every idempotency key, as a processor does after its window."""
        self._keys.clear()

    def payments(self) -> list[Body]:
        """Returns every payment of the ledger."""
        return [item for item in self.objects.values() if item["kind"] == "payment"]

    def _remember(self, key: str, text: str, answer: Answer) -> None:
        now = self._clock.now()
        self._keys[key] = _Stored(_without_secrets(text), answer, now)
        self._write(
            {
                "kind": "key",
                "key": key,
                "body": _without_secrets(text),
                "status": answer.status,
                "answer": answer.body,
                "at": now.isoformat(),
            }
        )

    def _execute(self, path: str, body: Body) -> Answer:  # noqa: PLR0911 - one return for each path
        match path.strip("/").split("/"):
            case ["v1", "customers"]:
                return self._add("customer", "cus", {})
            case ["v1", "payment_methods"]:
                return self._add_card(body)
            case ["v1", "payments"]:
                return self._pay(body)
            case ["v1", "payments", name, "capture"]:
                return self._capture(name, body)
            case ["v1", "payments", name, "cancel"]:
                return self._cancel(name)
            case ["v1", "refunds"]:
                return self._refund(body)
            case _:
                return _error(404, "unknown_path")

    def _add(self, kind: str, prefix: str, facts: Body) -> Answer:
        name = f"{prefix}_sim{secrets.token_hex(8)}"
        made = {
            "kind": kind,
            "id": name,
            "created": self._clock.now().isoformat(),
            **facts,
        }
        self._save(made)
        return Answer(200, dict(made))

    def _add_card(self, body: Body) -> Answer:
        behaviour = behaviour_of(body["number"])
        if behaviour.refuse_storing:
            return _error(402, behaviour.refuse_storing)
        return self._add(
            "payment_method",
            "pm",
            {
                "last_four": body["number"][-4:],
                "behaviour": behaviour.name,
                "customer": body.get("customer", ""),
                "used": False,
            },
        )

    def _pay(self, body: Body) -> Answer:
        method = self.objects.get(body["payment_method"])
        if method is None:
            return _error(400, "resource_missing")
        if method["used"] and not method["customer"]:
            return _error(400, "payment_method_used_up")
        if method["customer"] and method["customer"] != body.get("customer"):
            return _error(400, "customer_missing")
        self._save(method | {"used": True})
        behaviour = behaviour_of(method["behaviour"])
        decline = behaviour.decline
        if behaviour.needs_action and not body.get("return_url"):
            decline = "authentication_required"
        state, capture = "succeeded", body["capture"]
        if decline:
            state = "declined"
        elif behaviour.needs_action:
            state = "requires_action"
        elif not capture:
            state = "authorized"
        amount = body["amount"]
        moved = state == "succeeded"
        reserved = state == "authorized"
        ends = self._clock.now() + AUTHORIZATION_LIFETIME
        answer = self._add(
            "payment",
            "pi",
            {
                "state": state,
                "amount": amount,
                "currency": body["currency"],
                "authorized": amount if moved or reserved else 0,
                "captured": amount if moved else 0,
                "refunded": 0,
                "customer": body.get("customer", ""),
                "decline": decline,
                "confirmable": bool(decline),
                "capture_before": ends.isoformat() if reserved else "",
                "metadata": body.get("metadata", {}),
            },
        )
        return Answer(402, answer.body) if decline else answer

    def _capture(self, name: str, body: Body) -> Answer:
        payment = self.objects.get(name)
        if payment is None:
            return _error(404, "resource_missing")
        if payment["state"] != "authorized" or body["amount"] > payment["authorized"]:
            return _error(400, "unexpected_state")
        return self._change(payment, state="succeeded", captured=body["amount"])

    def _cancel(self, name: str) -> Answer:
        payment = self.objects.get(name)
        if payment is None:
            return _error(404, "resource_missing")
        if payment["state"] not in ("authorized", "requires_action", "declined"):
            return _error(400, "unexpected_state")
        state = "declined" if payment["state"] == "declined" else "canceled"
        return self._change(payment, state=state, confirmable=False, authorized=0)

    def _refund(self, body: Body) -> Answer:
        payment = self.objects.get(body["payment"])
        if payment is None:
            return _error(404, "resource_missing")
        left = payment["captured"] - payment["refunded"]
        if payment["state"] != "succeeded" or not 0 < body["amount"] <= left:
            return _error(400, "refund_too_large")
        self._change(payment, refunded=payment["refunded"] + body["amount"])
        return self._add(
            "refund", "re", {"payment": payment["id"], "amount": body["amount"]}
        )

    def _read_objects(self, path: str, query: Mapping[str, Any]) -> Answer:
        parts = path.strip("/").split("/")
        if parts[:2] == ["v1", "payments"] and len(parts) == 3:  # noqa: PLR2004
            payment = self.objects.get(parts[2])
            return (
                _error(404, "resource_missing")
                if payment is None
                else Answer(200, dict(payment))
            )
        wanted = query.get("payment", "")
        found = [
            dict(item)
            for item in self.payments()
            if item["metadata"].get("bailee_payment") == wanted
        ]
        return Answer(200, {"data": found})

    def _change(self, item: Body, **changes: Any) -> Answer:  # noqa: ANN401 - JSON
        changed = item | changes
        self._save(changed)
        return Answer(200, dict(changed))

    def _save(self, item: Body) -> None:
        self.objects[item["id"]] = item
        self._write(item)

    def _write(self, line: Body) -> None:
        if self._file is None:
            return
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _read(self, line: Body) -> None:
        if line["kind"] == "key":
            answer = Answer(line["status"], line["answer"])
            at = datetime.fromisoformat(line["at"])
            self._keys[line["key"]] = _Stored(line["body"], answer, at)
        else:
            self.objects[line["id"]] = line


def _error(status: int, code: str) -> Answer:
    return Answer(status, {"error": code})


def _without_secrets(text: str) -> str:
    """Returns a request's text with its card data replaced by their hash's place.

    Enough to tell another body from the same one; nothing of a card is kept.
    """
    path, body = json.loads(text)
    for name in ("number", "security_code", "expiry_month", "expiry_year", "billing"):
        if name in body:
            body[name] = "given"
    return json.dumps([path, body], sort_keys=True)
