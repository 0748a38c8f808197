"""Which roles may call what.

Invariants:
  * An RPC that has no row here cannot be called; a test gives every RPC a row.
  * One of the named roles is enough. For every row the guard also checks that the
    caller acts for the request's merchant, save those that name none.
  * What only ``compliance`` may do, nobody who runs the gateway or charges cards may.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.words.callers import Role

_ANY: Final = frozenset(Role)
_READ_CARDS: Final = frozenset({Role.READ, Role.TOKENIZE, Role.PAY})
_VAULT: Final = "/bailee.v1.VaultService/"
_PAYMENTS: Final = "/bailee.v1.PaymentService/"
_READS_PAYMENTS: Final = frozenset({Role.READ, Role.PAY, Role.REFUND})
_MERCHANTS: Final = "/bailee.v1.MerchantService/"
_OPERATORS: Final = "/bailee.v1.OperatorService/"
_RUNS_THE_GATEWAY: Final = frozenset({Role.OPERATOR})
_MAKES_MERCHANTS: Final = frozenset({Role.PLATFORM, Role.OPERATOR})
_AUDIT: Final = "/bailee.v1.AuditService/"
_LOG_READERS: Final = frozenset({Role.AUDITOR, Role.READ})

ROLES: Final[Mapping[str, frozenset[Role]]] = MappingProxyType(
    {
        f"{_VAULT}TokenizeCard": frozenset({Role.TOKENIZE}),
        f"{_VAULT}BatchTokenizeCards": frozenset({Role.TOKENIZE}),
        f"{_VAULT}GetCardToken": _READ_CARDS,
        f"{_VAULT}BatchGetCardTokens": _READ_CARDS,
        f"{_VAULT}ListCardTokens": _READ_CARDS,
        f"{_VAULT}DeleteCardToken": frozenset({Role.TOKENIZE}),
        f"{_VAULT}ListSealingKeys": _ANY,
        f"{_PAYMENTS}CreatePayment": frozenset({Role.PAY}),
        f"{_PAYMENTS}ConfirmPayment": frozenset({Role.PAY}),
        f"{_PAYMENTS}CapturePayment": frozenset({Role.PAY}),
        f"{_PAYMENTS}CancelPayment": frozenset({Role.PAY}),
        f"{_PAYMENTS}RefundPayment": frozenset({Role.REFUND}),
        f"{_PAYMENTS}GetPayment": _READS_PAYMENTS,
        f"{_PAYMENTS}ListPayments": _READS_PAYMENTS,
        f"{_PAYMENTS}GetRefund": _READS_PAYMENTS,
        f"{_PAYMENTS}ListRefunds": _READS_PAYMENTS,
        f"{_PAYMENTS}ListPaymentEvents": _READS_PAYMENTS,
        f"{_PAYMENTS}WatchPaymentEvents": _READS_PAYMENTS,
        f"{_AUDIT}GetCheckpoint": _LOG_READERS,
        f"{_AUDIT}ListEntries": _LOG_READERS,
        f"{_AUDIT}GetInclusionProof": _LOG_READERS,
        f"{_AUDIT}GetConsistencyProof": _LOG_READERS,
        f"{_MERCHANTS}CreateMerchant": _MAKES_MERCHANTS,
        f"{_MERCHANTS}GetMerchant": _MAKES_MERCHANTS | {Role.COMPLIANCE, Role.READ},
        f"{_MERCHANTS}ListMerchants": _MAKES_MERCHANTS | {Role.COMPLIANCE},
        f"{_MERCHANTS}UpdateMerchant": _MAKES_MERCHANTS,
        f"{_MERCHANTS}DeactivateMerchant": frozenset({Role.COMPLIANCE}),
        f"{_MERCHANTS}ListPolicies": _ANY,
        f"{_MERCHANTS}GetPolicy": _ANY,
        f"{_MERCHANTS}AcceptPolicy": frozenset({Role.COMPLIANCE}),
        f"{_OPERATORS}CreateCaller": _RUNS_THE_GATEWAY,
        f"{_OPERATORS}ListCallers": _RUNS_THE_GATEWAY,
        f"{_OPERATORS}DisableCaller": _RUNS_THE_GATEWAY,
        f"{_OPERATORS}EnableCaller": _RUNS_THE_GATEWAY,
        f"{_OPERATORS}IssueCertificate": _RUNS_THE_GATEWAY,
        f"{_OPERATORS}PublishPolicy": _RUNS_THE_GATEWAY,
        f"{_OPERATORS}AcceptClock": _RUNS_THE_GATEWAY,
        f"{_OPERATORS}SweepCards": _RUNS_THE_GATEWAY,
    }
)

# Requests that name no merchant: the servicer shows only what the caller acts for.
NAME_NO_MERCHANT: Final = frozenset({f"{_MERCHANTS}ListMerchants"}) | {
    rpc for rpc in ROLES if rpc.startswith(_OPERATORS)
}

# Health needs a caller's certificate and no role, and names no merchant.
OPEN_TO_EVERY_CALLER: Final = frozenset(
    {"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"}
)
