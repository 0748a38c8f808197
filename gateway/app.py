"""The composition root: every object is made here, by name, a method a capability.

``adapters.py`` opens what is outside (keys, database, processors); ``serve.py`` runs
what is made here.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Final

import grpc.aio

from gateway.adapters import open_processors, open_storage
from gateway.audit.operator_log import OperatorLog
from gateway.audit.read_log import ReadLog
from gateway.config import Settings
from gateway.key_providers.authorities import AuthorityFiles, FileAuthorities
from gateway.key_providers.file import FileKeyProvider
from gateway.keys.hierarchy import KeyHierarchy
from gateway.keys.key_upkeep import KeyUpkeep
from gateway.keys.rotate_epoch import RotateEpoch, RotationParts
from gateway.keys.secret_sealer import SecretSealer
from gateway.merchants.accept_processor_account import AcceptProcessorAccount
from gateway.merchants.account_changes import AccountChanges
from gateway.merchants.add_credential import AddCredential
from gateway.merchants.check_processor_account import CheckProcessorAccount
from gateway.merchants.create_caller import CreateCaller
from gateway.merchants.create_merchant import CreateMerchant
from gateway.merchants.create_processor_account import CreateProcessorAccount
from gateway.merchants.deactivate_merchant import DeactivateMerchant
from gateway.merchants.issue_certificate import IssueCertificate
from gateway.merchants.log_owners import DirectoryLogOwners
from gateway.merchants.merchant_changes import MerchantChanges
from gateway.merchants.read_callers import ReadCallers
from gateway.merchants.read_merchants import ReadMerchants
from gateway.merchants.read_processor_accounts import ReadProcessorAccounts
from gateway.merchants.retire_credential import RetireCredential
from gateway.merchants.stored_credentials import RewrapCredentials, StoredCredentials
from gateway.merchants.switch_caller import SwitchCaller
from gateway.merchants.update_merchant import UpdateMerchant
from gateway.metrics import Metrics
from gateway.parts import Parts
from gateway.payment_parts import PaymentParts, Shared
from gateway.payments.boundaries import ignore
from gateway.payments.processor import Processor
from gateway.policy_parts import PolicyParts
from gateway.processors.measured import MeasuredProcessor, Reachability
from gateway.rpc.account_calls import AccountCalls
from gateway.rpc.audit_servicer import AuditServicer
from gateway.rpc.callers import Authenticator
from gateway.rpc.guard import Guard
from gateway.rpc.health import DrainableHealth
from gateway.rpc.merchant_servicer import MerchantServicer
from gateway.rpc.operator_server import (
    BillingCallers,
    OperatorListener,
    build_operator_server,
    operator_guard,
)
from gateway.rpc.operator_servicer import OperatorServicer
from gateway.rpc.paging import PageTokens
from gateway.rpc.request_digests import RequestDigests
from gateway.rpc.server import (
    Service,
    audit_service,
    build_server,
    merchant_service,
    operator_service,
    payment_service,
    vault_service,
)
from gateway.rpc.vault_servicer import VaultServicer
from gateway.storage.engine import SqliteStorage
from gateway.vault.batch_tokenize_cards import BatchTokenizeCards
from gateway.vault.card_access import CardAccess
from gateway.vault.delete_card_token import DeleteCardToken
from gateway.vault.read_card_tokens import ReadCardTokens
from gateway.vault.rewrap_cards import RewrapCards
from gateway.vault.seal_card import SealCard
from gateway.vault.sealed_input import SealedInput
from gateway.vault.tokenize_card import TokenizeCard
from gateway.words.clock import Clock

# Longer than the three processor calls of one payment may take together.
_LEASE_CALLS: Final = 4
# Which of their RPCs operators may call: rpc/authorization.py.
_FOR_OPERATORS_TOO: Final = frozenset(
    {"bailee.v1.MerchantService", "bailee.v1.PaymentService"}
)
# No call that began before an epoch's last pause may still need its keys.
_PAUSE_LEASES: Final = 2


def open_gateway(
    settings: Settings,
    keys: FileKeyProvider,
    clock: Clock,
    storage: SqliteStorage | None = None,
) -> "Gateway":
    """Opens the database, unless it is open, and returns the gateway over it.

    Raises:
        StorageUnavailable: Another process has the database, or it is not safe.
        ConfigInvalid: A processor's settings are not safe.
    """
    storage = storage or open_storage(settings, keys)
    hierarchy = KeyHierarchy(provider=keys, storage=storage, clock=clock)
    sealer = SecretSealer(hierarchy=hierarchy, vault_id=keys.vault_id)
    credentials = StoredCredentials(storage=storage, sealer=sealer)
    return Gateway(
        settings=settings,
        keys=keys,
        storage=storage,
        processors=open_processors(settings, clock, credentials),
        clock=clock,
        hierarchy=hierarchy,
    )


class Gateway:
    """Every part of one gateway, put together."""

    def __init__(  # noqa: PLR0913 - what it uses, by keyword
        self,
        *,
        settings: Settings,
        keys: FileKeyProvider,
        storage: SqliteStorage,
        processors: Mapping[str, Processor],
        clock: Clock,
        hierarchy: KeyHierarchy | None = None,
        reached: Callable[[StrEnum], None] = ignore,
    ) -> None:
        self.settings = settings
        self.keys = keys
        self.storage = storage
        self.clock = clock
        self.metrics = Metrics()
        self.parts = Parts()
        storage.tell_commits_to(self.metrics.commit_ended)
        self.processors = self._measured(processors)
        self.guards: list[Guard] = []
        # Set when the server stops: streams then end.
        self._draining = asyncio.Event()
        self._reached = reached
        self.instance = secrets.token_hex(8)
        self._digests = RequestDigests(keys)
        self._hierarchy = hierarchy or KeyHierarchy(
            provider=keys, storage=storage, clock=clock
        )
        self._sealer = SecretSealer(hierarchy=self._hierarchy, vault_id=keys.vault_id)
        self._policies = PolicyParts(storage=storage, clock=clock)
        self.policy_time = self._policies.time
        self._access = CardAccess(
            hierarchy=self._hierarchy,
            policy_time=self.policy_time,
            vault_id=keys.vault_id,
        )
        self._sealed_input = SealedInput(
            provider=keys, accept_plain_cards=settings.accept_plain_cards
        )
        self._seal_card = self._card_sealing()
        self._lease = _LEASE_CALLS * timedelta(
            seconds=settings.processor_deadline_seconds
        )
        self.rotation = self._rotation()
        self.sweeper = self._policies.sweeper(self.rotation)
        self.key_upkeep = KeyUpkeep(
            provider=keys, rotation=self.rotation, storage=storage, clock=clock
        )
        self._payments = self._payment_parts()
        self.resolver = self._payments.resolver
        self.operator_log = OperatorLog(
            storage=storage, owners=DirectoryLogOwners(storage=storage), clock=clock
        )
        self.account_calls = self._account_calls()
        self.services = self._services()
        self.operator_services = self._operator_services()
        names = [service.name for service in self.services]
        self.health = DrainableHealth(names, self.parts, self._draining)

    def _card_sealing(self) -> SealCard:
        return SealCard(
            provider=self.keys,
            hierarchy=self._hierarchy,
            storage=self.storage,
            policy_time=self.policy_time,
        )

    def server(self, authenticator: Authenticator) -> grpc.aio.Server:
        """Returns the gRPC server of this gateway, not yet listening."""
        guard = Guard(BillingCallers(authenticator), metrics=self.metrics)
        self.guards.append(guard)
        return build_server(
            guard=guard,
            services=self.services,
            health_servicer=self.health,
        )

    def operator_listener(self, authenticator: Authenticator) -> OperatorListener:
        """Returns the listener for those who run the gateway, not yet listening."""
        guard = operator_guard(authenticator, self.metrics)
        self.guards.append(guard)
        server = build_operator_server(guard=guard, services=self.operator_services)
        return OperatorListener(server, self.settings)

    def _operator_services(self) -> list[Service]:
        """Returns what those who run the gateway call."""
        return [
            operator_service(self._operators()),
            *(item for item in self.services if item.name in _FOR_OPERATORS_TOO),
        ]

    async def close(self) -> None:
        """Finishes what is between two steps, then lets everything go."""
        await self._payments.drain()
        for processor in self.processors.values():
            await processor.close()
        await self.storage.close()

    def _measured(self, processors: Mapping[str, Processor]) -> dict[str, Processor]:
        reachability = Reachability(self.parts)
        return {
            name: MeasuredProcessor(
                processor, metrics=self.metrics, reachability=reachability
            )
            for name, processor in processors.items()
        }

    def _services(self) -> list[Service]:
        return [
            vault_service(self._vault()),
            payment_service(self._payments.servicer()),
            merchant_service(self._merchants()),
            audit_service(
                AuditServicer(
                    read_log=ReadLog(storage=self.storage, clock=self.clock),
                    operator_log=self.operator_log,
                )
            ),
        ]

    def _rotation(self) -> RotateEpoch:
        days = self.settings.epoch_rotation_days
        cards = RewrapCards(
            storage=self.storage,
            cards=self.storage,
            hierarchy=self._hierarchy,
            vault_id=self.keys.vault_id,
        )
        credentials = RewrapCredentials(
            storage=self.storage, credentials=self.storage, sealer=self._sealer
        )
        return RotateEpoch(
            RotationParts(
                provider=self.keys,
                storage=self.storage,
                holders=self.storage,
                rewraps=[cards, credentials],
                hierarchy=self._hierarchy,
                clock=self.clock,
                period=timedelta(days=days) if days else None,
                pause=self._lease * _PAUSE_LEASES,
                instance=self.instance,
                # SQLite: no other process has the database.
                lease=timedelta(0),
                reached=self._reached,
            )
        )

    def _vault(self) -> VaultServicer:
        return VaultServicer(
            tokenize_card=TokenizeCard(
                storage=self.storage,
                sealed_input=self._sealed_input,
                seal_card=self._seal_card,
                clock=self.clock,
            ),
            batch_tokenize_cards=BatchTokenizeCards(
                storage=self.storage,
                sealed_input=self._sealed_input,
                seal_card=self._seal_card,
                clock=self.clock,
            ),
            read_card_tokens=ReadCardTokens(storage=self.storage),
            delete_card_token=DeleteCardToken(
                storage=self.storage, backups=self.rotation, clock=self.clock
            ),
            provider=self.keys,
            pages=PageTokens(self.keys),
            digests=self._digests,
            clock=self.clock,
        )

    def _payment_parts(self) -> PaymentParts:
        return PaymentParts(
            Shared(
                settings=self.settings,
                keys=self.keys,
                storage=self.storage,
                processors=self.processors,
                access=self._access,
                sealed_input=self._sealed_input,
                seal_card=self._seal_card,
                digests=self._digests,
                clock=self.clock,
                reached=self._reached,
                instance=self.instance,
                lease=self._lease,
                draining=self._draining,
            )
        )

    def _merchants(self) -> MerchantServicer:
        changes = MerchantChanges(storage=self.storage)
        return MerchantServicer(
            create_merchant=CreateMerchant(changes=changes, clock=self.clock),
            read_merchants=ReadMerchants(storage=self.storage, directory=self.storage),
            update_merchant=UpdateMerchant(changes=changes, clock=self.clock),
            deactivate_merchant=DeactivateMerchant(changes=changes, clock=self.clock),
            accounts=self.account_calls,
            digests=self._digests,
            pages=PageTokens(self.keys),
            vault_id=self.keys.vault_id,
            read_policies=self._policies.read,
            accept_policy=self._policies.accept,
        )

    def _account_calls(self) -> AccountCalls:
        changes = AccountChanges(
            storage=self.storage, readers=self.processors, clock=self.clock
        )
        return AccountCalls(
            create=CreateProcessorAccount(changes=changes, sealer=self._sealer),
            check=CheckProcessorAccount(changes=changes, sealer=self._sealer),
            accept=AcceptProcessorAccount(changes=changes),
            add_credential=AddCredential(changes=changes, sealer=self._sealer),
            retire_credential=RetireCredential(changes=changes, files=self.storage),
            read=ReadProcessorAccounts(storage=self.storage),
        )

    def _operators(self) -> OperatorServicer:
        path = self.settings.path
        issuer = FileAuthorities(
            billing=AuthorityFiles(path("billing_ca"), path("billing_ca_key")),
            operators=AuthorityFiles(path("operator_ca"), path("operator_ca_key")),
        )
        return OperatorServicer(
            create_caller=CreateCaller(storage=self.storage, clock=self.clock),
            read_callers=ReadCallers(storage=self.storage),
            switch_caller=SwitchCaller(storage=self.storage, clock=self.clock),
            issue_certificate=IssueCertificate(
                storage=self.storage, issuer=issuer, clock=self.clock
            ),
            issuer=issuer,
            provider=self.keys,
            digests=self._digests,
            pages=PageTokens(self.keys),
            sweep_cards=self.sweeper,
            publish_policy=self._policies.publish,
            accept_clock=self._policies.accept_clock,
        )
