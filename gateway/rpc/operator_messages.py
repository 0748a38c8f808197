"""Between OperatorService's messages and the gateway's own types."""

from collections.abc import Iterable, Sequence
from typing import Final

from bailee.v1 import operator_service_pb2 as pb

from gateway.errors import RequestInvalid
from gateway.merchants.create_caller import CreateCallerCommand
from gateway.merchants.issue_certificate import IssueCertificateCommand
from gateway.merchants.switch_caller import SwitchCallerCommand
from gateway.words.callers import Caller, KnownCaller, Role, read_caller_id
from gateway.words.identifiers import (
    GATEWAY,
    MerchantId,
    read_merchant_id,
    read_request_id,
)

MERCHANTS_MAX: Final = 1000
SIGNING_REQUEST_BYTES_MAX: Final = 8 * 1024

_NUMBERS: Final[dict[Role, "pb.Role.ValueType"]] = {
    role: pb.Role.Value(f"ROLE_{role.name}") for role in Role
}
_ROLES: Final[dict[int, Role]] = {number: role for role, number in _NUMBERS.items()}


def read_create_caller(
    request: pb.CreateCallerRequest, *, caller: str, digest: bytes
) -> CreateCallerCommand:
    """Returns what CreateCaller is asked to do."""
    return CreateCallerCommand(
        merchant=GATEWAY,
        caller=caller,
        request_id=read_request_id(request.request_id),
        digest=digest,
        new=Caller(
            read_caller_id(request.caller),
            _read_roles(request.roles),
            _read_merchants(request),
        ),
    )


def read_switch_caller(
    request: pb.DisableCallerRequest | pb.EnableCallerRequest,
    *,
    caller: str,
    digest: bytes,
    enabled: bool,
) -> SwitchCallerCommand:
    """Returns what DisableCaller or EnableCaller is asked to do."""
    return SwitchCallerCommand(
        merchant=GATEWAY,
        caller=caller,
        request_id=read_request_id(request.request_id),
        digest=digest,
        spiffe_id=read_caller_id(request.caller),
        enabled=enabled,
    )


def read_issue_certificate(
    request: pb.IssueCertificateRequest, *, caller: str, digest: bytes
) -> IssueCertificateCommand:
    """Returns what IssueCertificate is asked to do."""
    if not 0 < len(request.signing_request) <= SIGNING_REQUEST_BYTES_MAX:
        raise RequestInvalid("signing_request", "is empty or too long")
    return IssueCertificateCommand(
        merchant=GATEWAY,
        caller=caller,
        request_id=read_request_id(request.request_id),
        digest=digest,
        spiffe_id=read_caller_id(request.caller),
        signing_request=request.signing_request,
    )


def _read_roles(numbers: Iterable[int]) -> frozenset[Role]:
    roles = set()
    for place, number in enumerate(numbers):
        role = _ROLES.get(number)
        if role is None:
            raise RequestInvalid(f"roles[{place}]", "is not a role of the list")
        roles.add(role)
    return frozenset(roles)


def _read_merchants(
    request: pb.CreateCallerRequest,
) -> frozenset[MerchantId] | None:
    if request.all_merchants:
        if request.merchants:
            raise RequestInvalid("merchants", "is set beside all_merchants")
        return None
    if len(request.merchants) > MERCHANTS_MAX:
        raise RequestInvalid("merchants", "has too many; set all_merchants")
    return frozenset(
        read_merchant_id(name, f"merchants[{place}]")
        for place, name in enumerate(request.merchants)
    )


def show_caller(known: KnownCaller) -> pb.Caller:
    """Returns what a caller shows."""
    caller = known.caller
    enabled, disabled = pb.Caller.STATE_ENABLED, pb.Caller.STATE_DISABLED
    shown = pb.Caller(
        name=caller.spiffe_id,
        merchants=sorted(caller.merchants or ()),
        all_merchants=caller.merchants is None,
        state=enabled if known.is_enabled else disabled,
    )
    shown.roles.extend(_NUMBERS[role] for role in Role if role in caller.roles)
    return shown


def show_callers(
    callers: Sequence[KnownCaller], next_page_token: str
) -> pb.ListCallersResponse:
    """Returns the answer of ListCallers."""
    return pb.ListCallersResponse(
        callers=[show_caller(known) for known in callers],
        next_page_token=next_page_token,
    )
