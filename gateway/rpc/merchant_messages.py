"""Between MerchantService's messages and the merchants' own types."""

from collections.abc import Sequence
from typing import Final

from bailee.v1 import merchant_pb2
from bailee.v1 import merchant_service_pb2 as pb

from gateway.audit.checkpoint import origin_of
from gateway.cards.free_text import read_text
from gateway.errors import RequestInvalid
from gateway.merchants.create_merchant import CreateMerchantCommand
from gateway.merchants.deactivate_merchant import DeactivateMerchantCommand
from gateway.merchants.ports import Environment, Merchant, MerchantSettings
from gateway.merchants.update_merchant import UpdateMerchantCommand
from gateway.words.identifiers import read_merchant_id, read_request_id
from gateway.words.lifecycles import MerchantState

DISPLAY_NAME_LENGTH_MAX: Final = 100
_CONFIRMATION_LENGTH_MAX: Final = 40

_ENVIRONMENTS: Final[dict[int, Environment]] = {
    merchant_pb2.ENVIRONMENT_TEST: Environment.TEST,
    merchant_pb2.ENVIRONMENT_LIVE: Environment.LIVE,
}
ENVIRONMENTS_SHOWN: Final = {
    Environment.TEST: merchant_pb2.ENVIRONMENT_TEST,
    Environment.LIVE: merchant_pb2.ENVIRONMENT_LIVE,
}
_STATES: Final = {
    MerchantState.ACTIVE: merchant_pb2.Merchant.STATE_ACTIVE,
    MerchantState.DEACTIVATED: merchant_pb2.Merchant.STATE_DEACTIVATED,
}


# Reading


def read_create_merchant(
    request: pb.CreateMerchantRequest, *, caller: str, digest: bytes
) -> CreateMerchantCommand:
    """Returns what CreateMerchant is asked to do."""
    return CreateMerchantCommand(
        merchant=read_merchant_id(request.merchant),
        caller=caller,
        request_id=read_request_id(request.request_id),
        digest=digest,
        environment=read_environment("environment", request.environment),
        display_name=_read_display_name(request.display_name),
        settings=MerchantSettings(
            show_bin=request.settings.show_bin,
            show_fingerprint=request.settings.show_fingerprint,
        ),
    )


def read_update_merchant(
    request: pb.UpdateMerchantRequest, *, caller: str, digest: bytes
) -> UpdateMerchantCommand:
    """Returns what UpdateMerchant is asked to do."""

    def sent(field: str) -> bool:
        return request.HasField(field)  # type: ignore[arg-type] # names of this message

    return UpdateMerchantCommand(
        merchant=read_merchant_id(request.merchant),
        caller=caller,
        request_id=read_request_id(request.request_id),
        digest=digest,
        display_name=_read_display_name(request.display_name)
        if sent("display_name")
        else None,
        show_bin=request.show_bin if sent("show_bin") else None,
        show_fingerprint=request.show_fingerprint if sent("show_fingerprint") else None,
    )


def read_deactivate_merchant(
    request: pb.DeactivateMerchantRequest, *, caller: str, digest: bytes
) -> DeactivateMerchantCommand:
    """Returns what DeactivateMerchant is asked to do."""
    return DeactivateMerchantCommand(
        merchant=read_merchant_id(request.merchant),
        caller=caller,
        request_id=read_request_id(request.request_id),
        digest=digest,
        confirmation=request.confirmation[: _CONFIRMATION_LENGTH_MAX + 1],
    )


def read_environment(field: str, number: int) -> Environment:
    """Returns an environment of the list."""
    environment = _ENVIRONMENTS.get(number)
    if environment is None:
        raise RequestInvalid(field, "is missing; choose TEST or LIVE")
    return environment


def _read_display_name(text: str) -> str:
    return read_text("display_name", text, DISPLAY_NAME_LENGTH_MAX)


# Showing


def show_merchant(merchant: Merchant, vault_id: str) -> merchant_pb2.Merchant:
    """Returns what a merchant shows."""
    settings = merchant.settings
    shown = merchant_pb2.Merchant(
        name=merchant.merchant_id,
        display_name=merchant.display_name,
        state=_STATES[merchant.state],
        environment=ENVIRONMENTS_SHOWN[merchant.environment],
        settings=merchant_pb2.MerchantSettings(
            show_bin=settings.show_bin, show_fingerprint=settings.show_fingerprint
        ),
        policy_version=merchant.policy_version,
        log_origin=origin_of(vault_id, merchant.merchant_id, merchant.log_generation),
    )
    shown.create_time.FromDatetime(merchant.created_at)
    if merchant.deactivated_at is not None:
        shown.deactivate_time.FromDatetime(merchant.deactivated_at)
    return shown


def show_merchants(
    merchants: Sequence[Merchant], vault_id: str, next_page_token: str
) -> pb.ListMerchantsResponse:
    """Returns the answer of ListMerchants."""
    return pb.ListMerchantsResponse(
        merchants=[show_merchant(merchant, vault_id) for merchant in merchants],
        next_page_token=next_page_token,
    )
