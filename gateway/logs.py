"""Diagnostics as JSON lines.

Invariants:
  * Only the fields passed as ``extra`` and the fixed message leave the process. An
    exception's text and traceback are dropped: they may quote a card number.
  * Libraries put values into their messages (grpcio quotes metadata that it cannot
    decode, asyncio shows the exception of a forgotten task), so only the pattern of
    such a message is written, and of a message without a pattern only its place.
  * A run of 12 or more digits is replaced before it is written, as a second net.
"""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import IO, Final

_STANDARD: Final = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {
    "message",
    "asctime",
    "taskName",
}
# A part that runs as its own program logs as __main__.
_OURS: Final = frozenset({"gateway", "__main__"})
# JSON writes digits of other scripts as escapes, so these are all there are.
_DIGITS: Final = re.compile(r"(?:[0-9][ -]?+){12,}+")


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the extra fields."""

    def __init__(self) -> None:
        super().__init__()
        self._second = -1
        self._second_text = ""

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Formatter.format."""
        line: dict[str, object] = {
            "time": self._time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = record.exc_info[0].__qualname__
        if _is_ours(record):
            for name, value in vars(record).items():
                if name not in _STANDARD:
                    line[name] = value
        return _DIGITS.sub("[digits]", _encode(line))

    def _time(self, seconds: float) -> str:
        """Returns the time. A second's text is made once: every call logs a line."""
        whole = int(seconds)
        if whole != self._second:
            moment = datetime.fromtimestamp(whole, UTC)
            self._second, self._second_text = whole, f"{moment:%Y-%m-%dT%H:%M:%S}"
        return f"{self._second_text}.{int(seconds % 1 * 1000):03}+00:00"


def _is_ours(record: logging.LogRecord) -> bool:
    return record.name.partition(".")[0] in _OURS


def _message(record: logging.LogRecord) -> str:
    if _is_ours(record):
        return record.getMessage()
    if record.args and isinstance(record.msg, str):
        return record.msg
    return f"message of a library, at {record.filename}:{record.lineno}"


def _type_only(value: object) -> str:
    return f"<{type(value).__qualname__}>"


_encode: Final = json.JSONEncoder(default=_type_only).encode


def configure_logs(*, level: str = "INFO", stream: IO[str] | None = None) -> None:
    """Makes JSON lines on ``stream`` (stderr) the only output of logging."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # At DEBUG grpcio writes several lines a call that say nothing, and one, about a
    # server that never started, that refers to what is just being freed.
    logging.getLogger("grpc").setLevel(logging.INFO)
