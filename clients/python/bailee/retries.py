"""Which failures are worth the same call again, and when."""

from dataclasses import dataclass
from typing import Final

import grpc

from bailee.errors import BaileeError

_TRANSIENT: Final = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often and how patiently a call is tried again.

    Only UNAVAILABLE and ABORTED are: with the same request id neither can do the work
    twice. ``Retries(tries=1)`` never repeats a call.

    Attributes:
        tries: Calls in all, the first included.
        backoff_seconds: Wait before the second; doubles from then on.
        wait_seconds_max: Longest wait, whatever the gateway asks for.
    """

    tries: int = 4
    backoff_seconds: float = 0.2
    wait_seconds_max: float = 5.0

    def wait_seconds(self, error: BaileeError, attempt: int) -> float | None:
        """Returns the wait before the next try, or None to give up.

        Args:
            error: What the call ended with.
            attempt: Which try it was; the first is 1.
        """
        if error.code not in _TRANSIENT or attempt >= self.tries:
            return None
        backoff: float = self.backoff_seconds * 2 ** (attempt - 1)
        return min(max(error.retry_after or 0.0, backoff), self.wait_seconds_max)
