"""``bailee init``: everything a first gateway needs, in a new folder.

It builds beside the folder and renames at the end: a folder that exists is complete,
and nothing is ever overwritten.
"""

import asyncio
import ipaddress
import re
import secrets
import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from bailee import Bundle

from gateway.adapters import create_anchor, open_keys, open_storage_unchecked
from gateway.app import open_gateway
from gateway.audit.checkpoint import origin_of
from gateway.audit.entry import Entry, EntryType
from gateway.cli.refusals import explain
from gateway.config import FILE_NAME, Settings, check_listen
from gateway.errors import GatewayError, RequestInvalid
from gateway.key_providers.certificates import Authority, Issued
from gateway.key_providers.file import FileKeyProvider
from gateway.merchants.accept_processor_account import AcceptProcessorAccountCommand
from gateway.merchants.create_processor_account import CreateProcessorAccountCommand
from gateway.merchants.ports import Environment, Merchant
from gateway.policy.versions import SHIPPED
from gateway.rpc.account_calls import AccountCalls
from gateway.storage.anchor_keeper import AnchorKeeper
from gateway.storage.unit import SqlUnit
from gateway.words.callers import Caller, Role
from gateway.words.clock import FixedClock, SystemClock
from gateway.words.identifiers import (
    GATEWAY,
    MerchantId,
    ProcessorAccountId,
    RequestId,
    read_merchant_id,
)
from gateway.words.lifecycles import MerchantState

_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# The common name of a certificate has no room for more (RFC 5280, ub-common-name).
_HOST_LENGTH_MAX: Final = 64
_BILLING_ROLES: Final = frozenset({Role.TOKENIZE, Role.PAY, Role.REFUND, Role.READ})
# A first gateway is often run by one person. Later ones can be given less.
_OPERATOR_ROLES: Final = frozenset({Role.OPERATOR, Role.COMPLIANCE, Role.AUDITOR})
_INIT: Final = "bailee init"


@dataclass(frozen=True, slots=True, kw_only=True)
class InitOptions:
    """What to make. The defaults give a gateway on this machine with the simulator."""

    listen: str = "127.0.0.1:7443"
    hosts: Sequence[str] = ("localhost", "127.0.0.1")
    merchant: str = "shop"
    caller: str = "billing"
    operator: str = "admin"
    stripe_key_file: Path | None = None
    passphrase_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """Where things are, and what the operator should know about them."""

    folder: Path
    bundle: Path
    vault_id: str
    processor: str
    only_this_machine: bool


class InitRefused(Exception):
    """Nothing was made; the text says why."""


def create_gateway(folder: Path, options: InitOptions, now: datetime) -> Created:
    """Makes a gateway in a new folder.

    Raises:
        InitRefused: The folder exists, an option is not of its form, or a Stripe key
            is not one.
    """
    if folder.exists():
        raise InitRefused(f"{folder} exists; bailee init never overwrites")
    _check(options)
    stripe_key = _read_stripe_key(options.stripe_key_file)
    folder.parent.mkdir(parents=True, exist_ok=True)
    building = folder.parent / f".{folder.name}-{secrets.token_hex(4)}"
    building.mkdir(mode=0o700)
    try:
        vault_id = _build(building, options, now)
        building.rename(folder)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    bundle = folder / "bundles" / options.caller
    return Created(
        folder=folder,
        bundle=bundle,
        vault_id=vault_id,
        processor=_describe_processor(stripe_key),
        only_this_machine=_is_loopback(options.listen.rpartition(":")[0])
        and not all(_is_loopback(host) for host in options.hosts),
    )


def _check(options: InitOptions) -> None:
    """Refuses what would end up in a certificate, a path or a setting and not work."""
    try:
        check_listen(options.listen)
    except ValueError as error:
        raise InitRefused(f"--listen {error}") from error
    for host in options.hosts:
        if not _is_address(host) and not _is_host_name(host):
            raise InitRefused(f"--host {host!r} is not a host name or an IP address")
    if ":" in options.hosts[0]:
        raise InitRefused("the first --host names the vault: no IPv6 address")
    for option, name in (("caller", options.caller), ("operator", options.operator)):
        if not _NAME.fullmatch(name):
            raise InitRefused(f"--{option} is not made of a-z, 0-9 and inner hyphens")
    try:
        read_merchant_id(options.merchant)
    except RequestInvalid as error:
        raise InitRefused(
            "--merchant is not 3 to 40 characters of a-z, 0-9 and inner hyphens"
        ) from error


def _is_host_name(text: str) -> bool:
    labels = text.lower().split(".")
    return len(text) <= _HOST_LENGTH_MAX and all(map(_NAME.fullmatch, labels))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    bare = host.strip("[]")
    return bare == "localhost" or (
        _is_address(bare) and ipaddress.ip_address(bare).is_loopback
    )


def _describe_processor(stripe_key: str) -> str:
    if not stripe_key:
        return "the embedded simulator; no real money moves"
    if "_live_" in stripe_key:
        return "Stripe with a live key; real money moves"
    return "Stripe in test mode; no real money moves"


def _build(folder: Path, options: InitOptions, now: datetime) -> str:
    vault_id = f"{options.hosts[0]}/vault-{secrets.token_hex(8)}"
    passphrase = None
    if options.passphrase_file is not None:
        passphrase = options.passphrase_file.read_bytes().rstrip(b"\r\n")
    FileKeyProvider.create(folder / "keyring", vault_id, now, passphrase=passphrase)
    _write(folder / FILE_NAME, _config_text(options).encode())
    billing = Authority.create("Bailee billing callers", now)
    operators = Authority.create("Bailee operators", now)
    _write_pair(folder / "ca" / "billing-ca", billing.pem)
    _write_pair(folder / "ca" / "operator-ca", operators.pem)
    _write_pair(folder / "tls" / "server", billing.issue_server(options.hosts, now))
    settings = Settings.read(folder)
    settings.path("database").parent.mkdir(mode=0o700)
    caller, operator = _callers(options)
    asyncio.run(_fill_database(settings, options, (caller, operator), now))
    keys = open_keys(settings)
    for authority, who, home in (
        (billing, caller, folder / "bundles" / options.caller),
        (operators, operator, folder / "operators" / options.operator),
    ):
        issued = authority.issue_caller(who.spiffe_id, now)
        scope = GATEWAY if who.is_operator else read_merchant_id(options.merchant)
        Bundle(
            address=f"{options.hosts[0]}:{options.listen.rpartition(':')[2]}",
            vault_id=vault_id,
            merchant=scope,
            identity_key=keys.identity_public_key,
            log_key=keys.log_public_key,
            log_origin=origin_of(vault_id, scope, 1),
            ca_certificate=billing.pem.certificate,
            client_certificate=issued.certificate,
            client_key=issued.key,
        ).write(home)
    return vault_id


def _callers(options: InitOptions) -> tuple[Caller, Caller]:
    """Returns the first billing caller and the first operator."""
    domain = f"spiffe://{options.hosts[0]}"
    merchant = frozenset({read_merchant_id(options.merchant)})
    return (
        Caller(f"{domain}/caller/{options.caller}", _BILLING_ROLES, merchant),
        Caller(f"{domain}/operator/{options.operator}", _OPERATOR_ROLES, None),
    )


async def _fill_database(
    settings: Settings, options: InitOptions, callers: Sequence[Caller], now: datetime
) -> None:
    merchant_id = read_merchant_id(options.merchant)
    stripe_key = _read_stripe_key(options.stripe_key_file)
    mode = Environment.LIVE if "_live_" in stripe_key else Environment.TEST
    merchant = Merchant(
        merchant_id=merchant_id,
        state=MerchantState.ACTIVE,
        policy_version=SHIPPED.number,
        created_at=now,
        environment=mode,
    )

    def entry(scope: MerchantId, kind: EntryType, subject: str | None = None) -> Entry:
        return Entry(type=kind, merchant=scope, at=now, caller=_INIT, subject=subject)

    def make_merchant(unit: SqlUnit) -> None:
        unit.merchants.add(merchant)
        unit.log.append(entry(merchant_id, EntryType.LOG_STARTED))
        unit.log.append(entry(merchant_id, EntryType.MERCHANT_CREATED))

    def make_callers(unit: SqlUnit) -> None:
        unit.log.append(entry(GATEWAY, EntryType.LOG_STARTED))
        for caller in callers:
            unit.callers.put(caller)
            unit.log.append(entry(GATEWAY, EntryType.CALLER_CREATED, caller.spiffe_id))

    keys = open_keys(settings)
    anchor = create_anchor(settings, keys, now)
    storage = open_storage_unchecked(settings, keys, anchor)
    gateway = open_gateway(settings, keys, FixedClock(now), storage)
    try:
        await storage.commit(merchant_id, make_merchant)
        await storage.commit(GATEWAY, make_callers)
        await _add_account(gateway.account_calls, merchant_id, stripe_key)
        AnchorKeeper(folder=anchor, storage=storage, clock=SystemClock()).write()
    finally:
        await gateway.close()


async def _add_account(calls: AccountCalls, merchant: MerchantId, key: str) -> None:
    """Asks the processor whose the key is, and accepts that: whoever makes a gateway
    has decided where its first merchant's money goes.
    """
    name = "stripe" if key else "simulator"

    def facts() -> dict[str, Any]:
        return {
            "merchant": merchant,
            "caller": _INIT,
            "request_id": RequestId(str(uuid4())),
            "digest": b"",
            "account_id": ProcessorAccountId(name),
        }

    try:
        made = await calls.create.execute(
            CreateProcessorAccountCommand(**facts(), processor=name, credential=key)
        )
    except GatewayError as error:
        raise InitRefused(f"{name} was asked whose the key is: {explain(error)}") from (
            error
        )
    external = made.view.account.external_account
    await calls.accept.execute(
        AcceptProcessorAccountCommand(**facts(), external_account=external)
    )


def _config_text(options: InitOptions) -> str:
    lines = [
        "# Settings of this gateway. docs/operations.md describes each.",
        f'listen = "{options.listen}"',
        f"{'stripe' if options.stripe_key_file else 'simulator'} = true",
    ]
    if options.passphrase_file is not None:
        lines.append(f'keyring_passphrase_file = "{options.passphrase_file.resolve()}"')
    return "\n".join(lines) + "\n"


def _read_stripe_key(file: Path | None) -> str:
    if file is None:
        return ""
    key = file.read_text("utf-8").strip()
    if not key.startswith(("sk_test_", "rk_test_", "sk_live_", "rk_live_")):
        raise InitRefused(f"{file} does not hold a Stripe secret or restricted key")
    return key


def _write_pair(stem: Path, issued: Issued) -> None:
    _write(stem.with_name(f"{stem.name}.pem"), issued.certificate)
    _write(stem.with_name(f"{stem.name}-key.pem"), issued.key, secret=True)


def _write(file: Path, content: bytes, *, secret: bool = False) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.touch(mode=0o600 if secret else 0o644, exist_ok=False)
    file.write_bytes(content)


def free_port() -> int:
    """Returns a loopback port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
