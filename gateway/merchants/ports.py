"""Merchants, processor accounts and callers as storage keeps them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from gateway.audit.ports import AuditUnit
from gateway.idempotency.ports import RequestUnit
from gateway.words.callers import Caller, KnownCaller
from gateway.words.identifiers import MerchantId, ProcessorAccountId
from gateway.words.lifecycles import MerchantState
from gateway.words.sealed_secret import SealedSecret


class Environment(StrEnum):
    """Whether an account moves real money."""

    TEST = "test"
    LIVE = "live"


@dataclass(frozen=True, slots=True, kw_only=True)
class MerchantSettings:
    """What answers show of a merchant's cards. Never both: with the BIN and the last
    four, a fingerprint would confirm a guessed number.
    """

    show_bin: bool = False
    show_fingerprint: bool = False

    @property
    def show_too_much(self) -> bool:
        """Whether both are on."""
        return self.show_bin and self.show_fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Merchant:
    """The business whose customers' cards these are.

    ``environment`` never changes: a merchant in test mode never moves real money.
    ``log_generation`` is the ``gN`` of the log's origin; it grows with each restore.
    """

    merchant_id: MerchantId
    state: MerchantState
    policy_version: int
    created_at: datetime
    display_name: str = ""
    environment: Environment = Environment.TEST
    settings: MerchantSettings = field(default_factory=MerchantSettings)
    deactivated_at: datetime | None = None
    log_generation: int = 1


class AccountState(StrEnum):
    """Whether payments may use a processor account."""

    PENDING = "pending"
    ACTIVE = "active"


class CheckResult(StrEnum):
    """What asking the processor about an account gave."""

    OK = "ok"
    FAILED = "failed"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountCheck:
    """When the processor was asked about an account, and what it said.

    ``failure_reason`` is neutral and in capitals, such as ``CREDENTIAL_REJECTED``.
    """

    result: CheckResult
    checked_at: datetime
    failure_reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorAccount:
    """One merchant's account at a processor. Holds no credential.

    ``environment`` and ``external_account`` are the processor's answers, nobody types
    them. ``host`` is where the account was accepted to be asked: nothing of it, its
    credential least of all, goes anywhere else.
    """

    merchant: MerchantId
    account_id: ProcessorAccountId
    processor: str
    environment: Environment
    external_account: str
    host: str
    state: AccountState
    created_at: datetime
    accepted_at: datetime | None = None
    last_check: AccountCheck | None = None


class CredentialState(StrEnum):
    """Whether a credential is used."""

    ACTIVE = "active"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A key of a processor account; ``secret`` is None once it is retired."""

    name: str
    state: CredentialState
    created_at: datetime
    secret: SealedSecret | None = field(default=None, repr=False)
    retired_at: datetime | None = None


class CredentialStore(Protocol):
    """The sealed keys of the merchant's processor accounts."""

    def of(self, account_id: ProcessorAccountId) -> Sequence[Credential]:
        """Returns an account's credentials, oldest first, the retired ones too."""

    def add(self, account_id: ProcessorAccountId, credential: Credential) -> None:
        """Adds a credential."""

    def retire(self, account_id: ProcessorAccountId, name: str, at: datetime) -> bool:
        """Destroys a credential; returns whether there was such an active one."""

    def rewrap(
        self,
        account_id: ProcessorAccountId,
        name: str,
        old: SealedSecret,
        new: SealedSecret,
    ) -> bool:
        """Replaces the wrapped data key, if it is still the old one."""


class MerchantStore(Protocol):
    """The unit's own merchant."""

    def get(self) -> Merchant:
        """Returns the merchant of this unit.

        Raises:
            MerchantNotFound: It was never created.
        """

    def add(self, merchant: Merchant) -> None:
        """Creates the merchant of this unit."""

    def save(self, merchant: Merchant) -> None:
        """Replaces what can change: state, display name, settings, policy version.

        Raises:
            MerchantNotFound: It was never created.
        """

    def accounts(self) -> Sequence[ProcessorAccount]:
        """Returns its processor accounts, oldest first."""

    def add_account(self, account: ProcessorAccount) -> None:
        """Adds a processor account."""

    def save_account(self, account: ProcessorAccount) -> None:
        """Replaces what can change: state, host, times and the newest check.

        Raises:
            ProcessorAccountNotFound: The merchant has no such account.
        """


@dataclass(frozen=True, slots=True)
class Holds:
    """What a merchant whose database was restored may not do yet, and since when.

    ``payments_since``: no money moves until its payments are reconciled.
    ``cards_since``: no card opens either, because erasures may be missing.
    """

    payments_since: datetime | None = None
    cards_since: datetime | None = None


class HoldStore(Protocol):
    """The holds on the unit's own merchant."""

    def get(self) -> Holds:
        """Returns them; usually there is none."""

    def put(self, holds: Holds) -> None:
        """Replaces them."""


class MerchantUnit(Protocol):
    """The slice of the unit of work that holds the merchant."""

    @property
    def merchants(self) -> MerchantStore:
        """The unit's own merchant."""

    @property
    def holds(self) -> HoldStore:
        """What it may not do since a restore."""


class CredentialUnit(Protocol):
    """The slice of the unit of work that holds processors' credentials."""

    @property
    def credentials(self) -> CredentialStore:
        """The sealed keys of the merchant's processor accounts."""


@dataclass(frozen=True, slots=True)
class CredentialUnder:
    """An active credential, by its number, with the merchant and account it is of."""

    number: int
    merchant: MerchantId
    account_id: ProcessorAccountId
    credential: Credential


class CredentialsUnderEpoch(Protocol):
    """Finds the credentials that a rotation of the epoch key has to visit."""

    async def credentials_under(
        self, epoch: str, *, after: int, limit: int
    ) -> Sequence[CredentialUnder]:
        """Returns active credentials whose data keys an epoch's keys wrapped, with
        numbers above ``after``, in the order of their numbers.
        """


class CredentialSealer(Protocol):
    """Seals credentials for rest; see gateway.keys.secret_sealer.SecretSealer."""

    async def seal(
        self, merchant: MerchantId, place: Sequence[str], secret: bytes
    ) -> SealedSecret:
        """Seals a secret so that it opens in the same place alone.

        Raises:
            KeyUnavailable: The key provider did not answer.
        """

    async def open(
        self, merchant: MerchantId, place: Sequence[str], secret: SealedSecret
    ) -> bytes:
        """Returns the secret.

        Raises:
            IntegrityViolation: Another merchant or place, or damaged bytes.
            KeyUnavailable: The key provider did not answer.
        """

    async def rewrap(
        self, merchant: MerchantId, place: Sequence[str], secret: SealedSecret
    ) -> SealedSecret:
        """Returns the secret under the newest wrapping key, unopened."""


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """What a processor says of the account that a credential belongs to."""

    external_account: str
    environment: Environment


class CredentialRefused(Exception):
    """The processor does not take the credential. ``failure_reason`` is neutral and in
    capitals.
    """

    def __init__(self, failure_reason: str) -> None:
        super().__init__(failure_reason)
        self.failure_reason = failure_reason


class AccountReader(Protocol):
    """Asks one processor whose a credential is."""

    @property
    def host(self) -> str:
        """The host that is asked."""

    async def read_account(self, credential: str) -> AccountFacts:
        """Returns the account that the credential belongs to. Moves no money.

        Raises:
            CredentialRefused: The processor does not take it.
            ProcessorUnavailable: The processor did not answer.
        """


class PolicyNumbers(Protocol):
    """The numbers of the policy's versions."""

    def newest_number(self) -> int:
        """Returns the number of the newest version."""


class MerchantDirectory(Protocol):
    """Every merchant of the gateway; used in units of the GATEWAY scope."""

    def page(
        self, *, after: str, limit: int, among: Collection[MerchantId] | None
    ) -> Sequence[Merchant]:
        """Returns merchants by id, those after the given one.

        Args:
            after: The last id of the page before; empty for the first page.
            limit: How many at most.
            among: Only these; None for every merchant.
        """


class DirectoryUnit(Protocol):
    """The slice of the unit of work that holds every merchant."""

    @property
    def directory(self) -> MerchantDirectory:
        """Every merchant."""


class CallerStore(Protocol):
    """Callers of the whole gateway; used in units of the GATEWAY scope."""

    def all(self) -> Sequence[Caller]:
        """Returns every enabled caller."""

    def find(self, spiffe_id: str) -> KnownCaller | None:
        """Returns a caller, enabled or not."""

    def page(self, *, after: str, limit: int) -> Sequence[KnownCaller]:
        """Returns callers by id, enabled or not, those after the given id."""

    def put(self, caller: Caller) -> None:
        """Adds a caller or replaces its roles; it is enabled."""

    def enable(self, spiffe_id: str, *, enabled: bool) -> None:
        """Lets a caller in, or keeps it out."""


class CallerUnit(Protocol):
    """The slice of the unit of work that holds callers."""

    @property
    def callers(self) -> CallerStore:
        """Every caller."""


class ControlUnit(
    MerchantUnit, CredentialUnit, CallerUnit, AuditUnit, RequestUnit, Protocol
):
    """The slice of the unit of work that changes merchants, accounts and callers, and
    leaves a trace.
    """

    @property
    def policies(self) -> PolicyNumbers:
        """The policy's versions."""


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A certificate as PEM; its key is with whoever asked."""

    certificate: bytes
    expires_at: datetime


class CertificateIssuer(Protocol):
    """Signs certificates of callers and operators, each by their own authority."""

    def issue(
        self, spiffe_id: str, signing_request: bytes, now: datetime
    ) -> IssuedCertificate:
        """Signs a certificate that names the id and nothing else.

        Raises:
            RequestInvalid: Not a PKCS #10 request, or its signature is wrong.
            KeyUnavailable: The authority's key is not here.
        """

    @property
    def server_authority(self) -> bytes:
        """The authority that vouches for the gateway's own certificate, as PEM.

        Raises:
            KeyUnavailable: It is not here.
        """
