"""Which role may call which RPC.

Invariants:
  * An RPC without a row does not exist for callers; a test gives every RPC a row.
  * One of the named roles is enough. Whether the caller acts for the request's
    merchant is checked for every row, by the guard.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.words.callers import Role

_ANY_ROLE: Final = frozenset(Role)
_VAULT: Final = "/bailee.v1.VaultService"
_PAYMENTS: Final = "/bailee.v1.PaymentService"

ROLES_BY_RPC: Final[Mapping[str, frozenset[Role]]] = MappingProxyType(
    {
        f"{_VAULT}/TokenizeCard": frozenset({Role.TOKENIZE}),
        f"{_VAULT}/GetCardToken": frozenset({Role.READ, Role.TOKENIZE, Role.PAY}),
        f"{_VAULT}/DeleteCardToken": frozenset({Role.TOKENIZE}),
        f"{_VAULT}/ListSealingKeys": _ANY_ROLE,
        f"{_PAYMENTS}/CreatePayment": frozenset({Role.PAY}),
        f"{_PAYMENTS}/CapturePayment": frozenset({Role.PAY}),
        f"{_PAYMENTS}/CancelPayment": frozenset({Role.PAY}),
        f"{_PAYMENTS}/RefundPayment": frozenset({Role.REFUND}),
        f"{_PAYMENTS}/GetPayment": frozenset({Role.READ, Role.PAY, Role.REFUND}),
    }
)

# A load balancer has a certificate of our authority but is no caller. These say only
# whether the gateway serves, and name no merchant.
HEALTH_RPCS: Final = frozenset(
    {"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"}
)
