"""Which roles may call what. An RPC that has no row here cannot be called."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.words.callers import Role

_ANY: Final = frozenset(Role)
_VAULT: Final = "/bailee.v1.VaultService/"
_PAYMENTS: Final = "/bailee.v1.PaymentService/"

ROLES: Final[Mapping[str, frozenset[Role]]] = MappingProxyType(
    {
        f"{_VAULT}TokenizeCard": frozenset({Role.TOKENIZE}),
        f"{_VAULT}GetCardToken": frozenset({Role.READ, Role.TOKENIZE, Role.PAY}),
        f"{_VAULT}DeleteCardToken": frozenset({Role.TOKENIZE}),
        f"{_VAULT}ListSealingKeys": _ANY,
        f"{_PAYMENTS}CreatePayment": frozenset({Role.PAY}),
        f"{_PAYMENTS}CapturePayment": frozenset({Role.PAY}),
        f"{_PAYMENTS}CancelPayment": frozenset({Role.PAY}),
        f"{_PAYMENTS}RefundPayment": frozenset({Role.REFUND}),
        f"{_PAYMENTS}GetPayment": frozenset({Role.READ, Role.PAY, Role.REFUND}),
    }
)

# Health needs a caller's certificate and no role.
OPEN_TO_EVERY_CALLER: Final = frozenset(
    {"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"}
)
