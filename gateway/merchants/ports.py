"""Merchants, processor accounts and callers as storage keeps them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from gateway.words.callers import Caller
from gateway.words.identifiers import MerchantId, ProcessorAccountId
from gateway.words.lifecycles import MerchantState


class Environment(StrEnum):
    """Whether an account moves real money."""

    TEST = "test"
    LIVE = "live"


@dataclass(frozen=True, slots=True, kw_only=True)
class Merchant:
    """The business whose customers' cards these are.

    ``log_generation`` is the ``gN`` of the log's origin; it grows with each restore.
    """

    merchant_id: MerchantId
    state: MerchantState
    policy_version: int
    created_at: datetime
    log_generation: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorAccount:
    """One merchant's account at a processor. Holds no credential."""

    account_id: ProcessorAccountId
    processor: str
    environment: Environment
    external_account: str
    created_at: datetime


class MerchantStore(Protocol):
    """The unit's own merchant."""

    def get(self) -> Merchant:
        """Returns the merchant of this unit.

        Raises:
            MerchantNotFound: It was never created.
        """

    def add(self, merchant: Merchant) -> None:
        """Creates the merchant of this unit."""

    def accounts(self) -> Sequence[ProcessorAccount]:
        """Returns its processor accounts, oldest first."""

    def add_account(self, account: ProcessorAccount) -> None:
        """Adds a processor account."""


class MerchantUnit(Protocol):
    """The slice of the unit of work that holds the merchant."""

    @property
    def merchants(self) -> MerchantStore:
        """The unit's own merchant."""


class CallerStore(Protocol):
    """Callers of the whole gateway; used in units of the GATEWAY scope."""

    def all(self) -> Sequence[Caller]:
        """Returns every enabled caller."""

    def put(self, caller: Caller) -> None:
        """Adds a caller or replaces its roles."""


class CallerUnit(Protocol):
    """The slice of the unit of work that holds callers."""

    @property
    def callers(self) -> CallerStore:
        """Every caller."""
