"""What the log says about an exception that nobody foresaw: types and places."""

import logging
from collections.abc import Iterator
from types import TracebackType
from typing import Final

_log: Final = logging.getLogger(__name__)

_PLACES_MAX: Final = 12
_CAUSES_MAX: Final = 5


def report_incident(incident: str, error: BaseException, rpc: str) -> None:
    """Writes one line: what was raised, and which files and lines it passed.

    Never the text: an exception may quote the value that caused it, and that may be a
    card number. Source lines are left out too; the build tells them.
    """
    fields = {
        "incident": incident,
        "rpc": rpc,
        "type": _type(error),
        "at": _place(error.__traceback__),
        "path": " > ".join(_places(error.__traceback__)),
        "causes": [
            f"{_type(cause)} at {_place(cause.__traceback__)}"
            for cause in _causes(error)
        ],
    }
    _log.error("unforeseen error", extra=fields)


def _type(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}"


def _place(trace: TracebackType | None) -> str:
    """Returns ``folder/file:line`` of the innermost frame; it holds no values."""
    places = _places(trace)
    return places[-1] if places else ""


def _places(trace: TracebackType | None) -> list[str]:
    places = []
    while trace is not None:
        file = "/".join(trace.tb_frame.f_code.co_filename.rsplit("/", 2)[-2:])
        places.append(f"{file}:{trace.tb_lineno}")
        trace = trace.tb_next
    return places[-_PLACES_MAX:]


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walks what led to the error; errors can be chained in a circle."""
    for _ in range(_CAUSES_MAX):
        cause = error.__cause__ or error.__context__
        if cause is None:
            return
        yield cause
        error = cause
