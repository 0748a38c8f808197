"""Between MerchantService's messages about processor accounts and their own types."""

import re
from typing import Final

from bailee.v1 import merchant_pb2
from bailee.v1 import merchant_service_pb2 as pb

from gateway.errors import (
    CredentialNotFound,
    ProcessorAccountNotFound,
    RequestInvalid,
)
from gateway.merchants.accept_processor_account import AcceptProcessorAccountCommand
from gateway.merchants.account_changes import AccountCommand, AccountView
from gateway.merchants.add_credential import AddCredentialCommand
from gateway.merchants.create_processor_account import (
    CREDENTIAL_PREFIX,
    CreateProcessorAccountCommand,
)
from gateway.merchants.ports import (
    AccountCheck,
    AccountState,
    CheckResult,
    Credential,
    CredentialState,
)
from gateway.merchants.retire_credential import RetireCredentialCommand
from gateway.rpc.merchant_messages import ENVIRONMENTS_SHOWN
from gateway.words.identifiers import (
    ProcessorAccountId,
    is_name,
    read_merchant_id,
    read_request_id,
)

_ACCOUNT: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
_EXTERNAL_LENGTH_MAX: Final = 128
# What a processor's key is made of; nothing that a header or a log would mistake.
_CREDENTIAL: Final = re.compile(r"[!-~]{0,512}")

_STATES: Final = {
    AccountState.PENDING: merchant_pb2.ProcessorAccount.STATE_PENDING,
    AccountState.ACTIVE: merchant_pb2.ProcessorAccount.STATE_ACTIVE,
}
_CREDENTIAL_STATES: Final = {
    CredentialState.ACTIVE: merchant_pb2.ProcessorCredential.STATE_ACTIVE,
    CredentialState.RETIRED: merchant_pb2.ProcessorCredential.STATE_RETIRED,
}
_RESULTS: Final = {
    CheckResult.OK: merchant_pb2.AccountCheck.RESULT_OK,
    CheckResult.FAILED: merchant_pb2.AccountCheck.RESULT_FAILED,
    CheckResult.UNREACHABLE: merchant_pb2.AccountCheck.RESULT_UNREACHABLE,
}


# Reading


def read_create_processor_account(
    request: pb.CreateProcessorAccountRequest, *, caller: str, digest: bytes
) -> CreateProcessorAccountCommand:
    """Returns what CreateProcessorAccount is asked to do."""
    if not _ACCOUNT.fullmatch(request.processor_account):
        raise RequestInvalid(
            "processor_account", "is not 1 to 40 of a-z, 0-9 and inner hyphens"
        )
    return CreateProcessorAccountCommand(
        merchant=read_merchant_id(request.merchant),
        caller=caller,
        request_id=read_request_id(request.request_id),
        digest=digest,
        account_id=ProcessorAccountId(request.processor_account),
        processor=request.processor,
        credential=_read_credential(request.credential),
    )


def read_account_command(
    request: pb.CheckProcessorAccountRequest, *, caller: str, digest: bytes
) -> AccountCommand:
    """Returns what CheckProcessorAccount is asked to do."""
    return AccountCommand(
        merchant=read_merchant_id(request.merchant),
        caller=caller,
        request_id=read_request_id(request.request_id),
        digest=digest,
        account_id=read_account_id(request.processor_account),
    )


def read_accept_processor_account(
    request: pb.AcceptProcessorAccountRequest, *, caller: str, digest: bytes
) -> AcceptProcessorAccountCommand:
    """Returns what AcceptProcessorAccount is asked to do."""
    return AcceptProcessorAccountCommand(
        merchant=read_merchant_id(request.merchant),
        caller=caller,
        request_id=read_request_id(request.request_id),
        digest=digest,
        account_id=read_account_id(request.processor_account),
        external_account=request.external_account[:_EXTERNAL_LENGTH_MAX],
    )


def read_add_credential(
    request: pb.AddCredentialRequest, *, caller: str, digest: bytes
) -> AddCredentialCommand:
    """Returns what AddCredential is asked to do."""
    return AddCredentialCommand(
        merchant=read_merchant_id(request.merchant),
        caller=caller,
        request_id=read_request_id(request.request_id),
        digest=digest,
        account_id=read_account_id(request.processor_account),
        credential=_read_credential(request.credential),
    )


def read_retire_credential(
    request: pb.RetireCredentialRequest, *, caller: str, digest: bytes
) -> RetireCredentialCommand:
    """Returns what RetireCredential is asked to do."""
    if not is_name(CREDENTIAL_PREFIX, request.credential):
        raise CredentialNotFound
    return RetireCredentialCommand(
        merchant=read_merchant_id(request.merchant),
        caller=caller,
        request_id=read_request_id(request.request_id),
        digest=digest,
        account_id=read_account_id(request.processor_account),
        credential=request.credential,
    )


def read_account_id(text: str) -> ProcessorAccountId:
    """Returns an account's name; what cannot be one does not exist."""
    if not _ACCOUNT.fullmatch(text):
        raise ProcessorAccountNotFound
    return ProcessorAccountId(text)


def _read_credential(text: str) -> str:
    bare = text.strip()
    if not _CREDENTIAL.fullmatch(bare):
        raise RequestInvalid("credential", "is too long, or has spaces within")
    return bare


# Showing


def show_account(view: AccountView) -> merchant_pb2.ProcessorAccount:
    """Returns what an account shows."""
    account = view.account
    shown = merchant_pb2.ProcessorAccount(
        name=account.account_id,
        merchant=account.merchant,
        processor=account.processor,
        environment=ENVIRONMENTS_SHOWN[account.environment],
        external_account=account.external_account,
        state=_STATES[account.state],
        host=account.host,
        credentials=[_show_credential(item) for item in view.credentials],
    )
    shown.create_time.FromDatetime(account.created_at)
    if account.accepted_at is not None:
        shown.accept_time.FromDatetime(account.accepted_at)
    if account.last_check is not None:
        shown.last_check.CopyFrom(_show_check(account.last_check))
    return shown


def _show_credential(credential: Credential) -> merchant_pb2.ProcessorCredential:
    shown = merchant_pb2.ProcessorCredential(
        name=credential.name, state=_CREDENTIAL_STATES[credential.state]
    )
    shown.create_time.FromDatetime(credential.created_at)
    if credential.retired_at is not None:
        shown.retire_time.FromDatetime(credential.retired_at)
    return shown


def _show_check(check: AccountCheck) -> merchant_pb2.AccountCheck:
    shown = merchant_pb2.AccountCheck(
        result=_RESULTS[check.result], failure_reason=check.failure_reason
    )
    shown.check_time.FromDatetime(check.checked_at)
    return shown
