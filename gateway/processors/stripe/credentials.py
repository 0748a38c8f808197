"""Which Stripe key goes with a call."""

import re
from collections.abc import Callable
from typing import Final

from gateway.errors import GatewayError, ProcessorUnavailable
from gateway.merchants.ports import ProcessorAccount
from gateway.payments.processor import ProcessorRefused

# Returns the secret or restricted key of an account; LookupError or FileNotFoundError
# when it has none.
CredentialSource = Callable[[ProcessorAccount], str]

# sk_test_, rk_live_ and the like: the key tells whether it moves real money.
_MODE: Final = re.compile(r"[a-z]{2}_(test|live)_")


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


def read_key(credentials: CredentialSource, account: ProcessorAccount) -> ApiKey:
    """Returns the account's key.

    Raises:
        ProcessorRefused: There is none, or it is of the other mode.
        ProcessorUnavailable: It cannot be read now.
    """
    try:
        key = ApiKey(credentials(account).strip())
    except (LookupError, FileNotFoundError) as error:
        raise ProcessorRefused("CREDENTIAL_MISSING") from error
    except (OSError, GatewayError) as error:
        raise ProcessorUnavailable from error
    if not key.reveal():
        raise ProcessorRefused("CREDENTIAL_MISSING")
    mode = _MODE.match(key.reveal())
    if mode is not None and mode[1] != account.environment.value:
        raise ProcessorRefused("CREDENTIAL_OF_OTHER_ENVIRONMENT")
    return key
