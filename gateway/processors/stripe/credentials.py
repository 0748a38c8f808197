"""Which Stripe key goes with a call."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from stripe import RequestOptions

from gateway.errors import GatewayError, ProcessorUnavailable
from gateway.merchants.ports import Environment, ProcessorAccount
from gateway.payments.processor import ProcessorRefused

# Returns the secret or restricted key of an account; LookupError when it has none.
CredentialSource = Callable[[ProcessorAccount], Awaitable[str]]

# sk_test_, rk_live_ and the like: the key tells whether it moves real money.
_MODE: Final = re.compile(r"(?:sk|rk)_(test|live)_[A-Za-z0-9_]+")


class ApiKey:
    """A key that a traceback with variables does not show."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Returns the key."""
        return self._text

    def __repr__(self) -> str:
        return "ApiKey(****)"


@dataclass(frozen=True, slots=True)
class Asked:
    """With which key one call is made, and how long it may take."""

    key: ApiKey
    deadline_seconds: float
    idempotency_key: str | None

    def options(self) -> RequestOptions:
        """Returns the SDK's options of the call."""
        options: RequestOptions = {
            "api_key": self.key.reveal(),
            "max_network_retries": 0,
        }
        if self.idempotency_key is not None:
            options["idempotency_key"] = self.idempotency_key
        return options


async def read_key(credentials: CredentialSource, account: ProcessorAccount) -> ApiKey:
    """Returns the account's key.

    Raises:
        ProcessorRefused: There is none, or it is of the other mode.
        ProcessorUnavailable: It cannot be read now.
    """
    try:
        key = ApiKey((await credentials(account)).strip())
    except LookupError as error:
        raise ProcessorRefused("CREDENTIAL_MISSING") from error
    except (OSError, GatewayError) as error:
        raise ProcessorUnavailable from error
    if mode_of(key) is not account.environment:
        raise ProcessorRefused("CREDENTIAL_OF_OTHER_ENVIRONMENT")
    return key


def mode_of(key: ApiKey) -> Environment | None:
    """Returns whether a key moves real money; None if it is no key of Stripe's.

    docs.stripe.com/keys: secret keys begin with sk_, restricted ones with rk_.
    """
    found = _MODE.fullmatch(key.reveal())
    return None if found is None else Environment(found[1])
