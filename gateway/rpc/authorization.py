"""Which roles may call what.

Invariants:
  * An RPC that has no row here cannot be called; a test gives every RPC a row.
  * One of the named roles is enough. For every row the guard also checks that the
    caller acts for the request's merchant.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.words.callers import Role

_ANY: Final = frozenset(Role)
_VAULT: Final = "/bailee.v1.VaultService/"
_PAYMENTS: Final = "/bailee.v1.PaymentService/"
_AUDIT: Final = "/bailee.v1.AuditService/"
_LOG_READERS: Final = frozenset({Role.AUDITOR, Role.READ})

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
        f"{_AUDIT}GetCheckpoint": _LOG_READERS,
        f"{_AUDIT}ListEntries": _LOG_READERS,
        f"{_AUDIT}GetInclusionProof": _LOG_READERS,
        f"{_AUDIT}GetConsistencyProof": _LOG_READERS,
        f"{_PAYMENTS}GetPayment": frozenset({Role.READ, Role.PAY, Role.REFUND}),
    }
)

# Health needs a caller's certificate and no role, and names no merchant.
OPEN_TO_EVERY_CALLER: Final = frozenset(
    {"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"}
)
