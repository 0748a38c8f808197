"""What keeps the Stripe SDK from writing card data anywhere.

At DEBUG it logs whole request bodies, and with ``STRIPE_LOG=debug`` it prints them even
when logging is off; with telemetry on it writes a file into the home folder.
"""

import logging
from typing import Any

import stripe
from stripe import _util


class StripeLogsOn(RuntimeError):
    """The environment asks the SDK to print request bodies."""


class _DropBodies(logging.Filter):
    """Lets no DEBUG record of the SDK pass, whatever the level of the logger."""

    def filter(self, record: logging.LogRecord) -> bool:
        """See logging.Filter.filter."""
        return record.levelno > logging.DEBUG


def harden() -> None:
    """Turns telemetry off and body logging impossible. Call before any client is made.

    Raises:
        StripeLogsOn: STRIPE_LOG or stripe.log is set: unset it.
    """
    if stripe.log or _util.STRIPE_LOG:
        raise StripeLogsOn(
            "STRIPE_LOG makes the SDK print card numbers; unset it and start again"
        )
    stripe.enable_telemetry = False
    logger = logging.getLogger("stripe")
    if not any(isinstance(known, _DropBodies) for known in logger.filters):
        logger.addFilter(_DropBodies())


class GuardedClient(stripe.AIOHTTPClient):
    """The SDK's client without redirects: card data goes to one host only."""

    def _get_request_args_kwargs(
        self,
        *arguments: Any,  # noqa: ANN401 - the SDK's own
        **keywords: Any,  # noqa: ANN401 - the SDK's own
    ) -> Any:  # noqa: ANN401 - the SDK's own
        args, kwargs = super()._get_request_args_kwargs(*arguments, **keywords)
        kwargs["allow_redirects"] = False
        return args, kwargs
