"""The platform's own list of what it asked for: one JSON object a line.

``{"asked": {...}}`` is written before a request leaves, ``{"answered": {...}}`` when
its answer came, with the receipt. ``bailee-audit watch`` compares it with the log: a
use that nobody asked for is found here and nowhere else.

Invariants:
  * A line is on disk before the request leaves.
  * Only the fields named here are written: no card data, no free text.
"""

import base64
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any, Final

from google.protobuf.message import Message

from bailee.v1 import purpose_pb2, receipt_pb2

# What a call of this RPC may do, as entries name it (Entry.action).
ACTIONS: Final = {
    "TokenizeCard": frozenset({"tokenize", "verify"}),
    "BatchTokenizeCards": frozenset({"tokenize", "verify"}),
    "ImportCards": frozenset({"tokenize"}),
    "CreatePayment": frozenset({"tokenize", "charge", "expire"}),
    "ConfirmPayment": frozenset({"charge", "expire"}),
    "CapturePayment": frozenset({"capture", "expire"}),
    "CancelPayment": frozenset({"cancel", "expire"}),
    "RefundPayment": frozenset({"refund", "expire"}),
    "VerifyCard": frozenset({"verify"}),
    "DeleteCardToken": frozenset({"erase"}),
    "EraseCustomer": frozenset({"erase"}),
    "ResolvePayment": frozenset({"charge"}),
}

_READING: Final = ("Get", "List", "BatchGet", "Watch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request of the platform. Empty fields were not in the request."""

    request_id: str
    rpc: str
    merchant: str
    at: str
    purpose: str = ""
    amount: int | None = None
    currency: str = ""
    card_token: str = ""
    payment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What came back: ``OK`` or the reason of an error, and the receipt if any."""

    request_id: str
    result: str
    at: str
    receipt: receipt_pb2.Receipt | None = field(default=None, repr=False)


class RequestJournal:
    """Appends to the file. Safe to share between threads; several may write one file.

    Give it to the client: ``Client.from_bundle(path, journal=RequestJournal(file))``.
    """

    def __init__(self, path: str | Path) -> None:
        """Opens the file for appending, creating it for its owner alone."""
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._lock = Lock()

    def ask(self, request: Message) -> None:
        """Writes what is about to be asked; without a request id, nothing."""
        names = request.DESCRIPTOR.fields_by_name
        request_id = _request_id(request)
        if not request_id:
            return
        asked: dict[str, Any] = {
            "request_id": request_id,
            "rpc": request.DESCRIPTOR.name.removesuffix("Request"),
            "merchant": str(getattr(request, "merchant", "")),
            "at": _now(),
        }
        for name in ("card_token", "payment"):
            if name in names and names[name].message_type is None:
                asked[name] = str(getattr(request, name))
        number = getattr(request, "purpose", 0)
        if number:
            asked["purpose"] = _show_purpose(number)
        if "amount" in names and request.HasField("amount"):
            money = getattr(request, "amount")  # noqa: B009 - not every message has it
            asked["amount"], asked["currency"] = money.minor_units, money.currency
        self._append({"asked": asked})

    def answer(
        self, request: Message, response: Message | None, *, reason: str = ""
    ) -> None:
        """Writes what came back; the receipt too, if the answer has one."""
        request_id = _request_id(request)
        if not request_id:
            return
        answered: dict[str, Any] = {
            "request_id": request_id,
            "result": reason or "OK",
            "at": _now(),
        }
        if response is not None and _has_receipt(response):
            receipt = getattr(response, "receipt")  # noqa: B009 - as above
            answered["receipt"] = _encode(receipt.SerializeToString())
        self._append({"answered": answered})

    def close(self) -> None:
        """Closes the file."""
        os.close(self._file)

    def _append(self, line: dict[str, Any]) -> None:
        text = json.dumps(line, separators=(",", ":")) + "\n"
        with self._lock:
            os.write(self._file, text.encode())
            os.fsync(self._file)


class JournalBroken(ValueError):
    """A line of the journal is not what this software writes."""


def read_journal(path: Path, offset: int = 0) -> Iterator[tuple[Asked | Answered, int]]:
    """Yields each line from a byte offset on, with the offset after it.

    A line that is still being written is left for the next time.

    Raises:
        JournalBroken: A line is malformed.
    """
    with path.open("rb") as stream:
        stream.seek(offset)
        for number, raw in enumerate(stream, 1):
            if not raw.endswith(b"\n"):
                return
            offset += len(raw)
            try:
                yield _read_line(raw), offset
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise JournalBroken(
                    f"{path}: line {number} after byte {offset - len(raw)} is not a "
                    "line of a request journal"
                ) from error


def _read_line(raw: bytes) -> Asked | Answered:
    [(kind, facts)] = json.loads(raw).items()
    if kind == "asked":
        return Asked(**facts)
    if kind != "answered":
        raise ValueError(kind)
    encoded = facts.pop("receipt", None)
    receipt = None
    if encoded is not None:
        content = base64.b64decode(encoded, validate=True)
        receipt = receipt_pb2.Receipt.FromString(content)
    return Answered(**facts, receipt=receipt)


def _request_id(request: Message) -> str:
    """Returns the id of a request that changes something; empty for the others."""
    if request.DESCRIPTOR.name.startswith(_READING):
        return ""
    return str(getattr(request, "request_id", ""))


def _has_receipt(response: Message) -> bool:
    named = "receipt" in response.DESCRIPTOR.fields_by_name
    return named and response.HasField("receipt")


def _show_purpose(number: int) -> str:
    name = purpose_pb2.Purpose.Name(number)  # type: ignore[arg-type]
    return name.removeprefix("PURPOSE_").lower().replace("payment_", "payment.", 1)


def _encode(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _now() -> str:
    moment = datetime.now(UTC).isoformat(timespec="milliseconds")
    return moment.removesuffix("+00:00") + "Z"
