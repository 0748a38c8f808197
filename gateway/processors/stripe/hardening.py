"""Keeping Stripe's SDK from showing what it sends.

Left alone, the SDK writes whole request bodies, with card number and security code, to
its logger at DEBUG; with ``stripe.log`` or ``STRIPE_LOG`` it also prints them to
stderr, whatever the loggers say; and it keeps an id for telemetry in the home folder.

Invariants:
  * Nothing the SDK logs below WARNING passes its logger, and it logs nothing above.
    Its INFO lines are dropped too: they quote Stripe's messages, which quote requests.
  * While its own printing is switched on, no call is made.
"""

import logging
from typing import Final

import stripe
from stripe import _util

_SDK_LOGGER: Final = logging.getLogger("stripe")


class _DropRequests(logging.Filter):
    """Lets only warnings pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        """See logging.Filter.filter."""
        return record.levelno >= logging.WARNING


_DROP_REQUESTS: Final = _DropRequests()


def silence_sdk() -> None:
    """Switches off telemetry and everything that the SDK logs. Repeating it is free."""
    stripe.enable_telemetry = False
    if _DROP_REQUESTS not in _SDK_LOGGER.filters:
        _SDK_LOGGER.addFilter(_DROP_REQUESTS)


def prints_requests() -> bool:
    """Whether the SDK prints what it sends to stderr, past every logger."""
    return bool(stripe.log or _util.STRIPE_LOG)
