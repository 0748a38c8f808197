"""Which credential goes with a call: the newest active one of its account."""

from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby
from typing import Final

from gateway.errors import InvariantBroken
from gateway.merchants.account_changes import active, place_of
from gateway.merchants.ports import (
    ControlUnit,
    Credential,
    CredentialSealer,
    CredentialsUnderEpoch,
    CredentialUnder,
    ProcessorAccount,
)
from gateway.unit_of_work import Storage
from gateway.words.identifiers import MerchantId
from gateway.words.sealed_secret import SealedSecret

_AT_ONCE: Final = 32


class StoredCredentials:
    """Opens credentials when they are needed, and keeps none."""

    def __init__(
        self, *, storage: Storage[ControlUnit], sealer: CredentialSealer
    ) -> None:
        self._storage = storage
        self._sealer = sealer

    async def of(self, account: ProcessorAccount) -> str:
        """Returns the account's newest active credential.

        Raises:
            LookupError: It has none.
            IntegrityViolation, KeyUnavailable, StorageUnavailable: It does not open.
        """
        known = await self._storage.read(
            account.merchant, lambda unit: unit.credentials.of(account.account_id)
        )
        usable = active(known)
        if not usable or usable[-1].secret is None:
            raise LookupError("the account has no active credential")
        place = place_of(account.account_id, usable[-1].name)
        opened = await self._sealer.open(account.merchant, place, usable[-1].secret)
        return opened.decode()


class RewrapCredentials:
    """See gateway.keys.ports.Rewrap; for the data keys of credentials."""

    def __init__(
        self,
        *,
        storage: Storage[ControlUnit],
        credentials: CredentialsUnderEpoch,
        sealer: CredentialSealer,
    ) -> None:
        self._storage = storage
        self._credentials = credentials
        self._sealer = sealer

    async def move(self, epoch: str, moved: Callable[[int], Awaitable[None]]) -> int:
        """See Rewrap.move."""
        after, total = 0, 0
        while found := await self._credentials.credentials_under(
            epoch, after=after, limit=_AT_ONCE
        ):
            after = found[-1].number
            for merchant, group in groupby(found, key=lambda item: item.merchant):
                count = await self._move(merchant, list(group))
                total += count
                await moved(count)
        return total

    async def _move(
        self, merchant: MerchantId, found: Sequence[CredentialUnder]
    ) -> int:
        fresh = []
        for item in found:
            old = _secret(item.credential)
            place = place_of(item.account_id, item.credential.name)
            fresh.append((item, old, await self._sealer.rewrap(merchant, place, old)))

        def store(unit: ControlUnit) -> int:
            return sum(
                unit.credentials.rewrap(item.account_id, item.credential.name, old, new)
                for item, old, new in fresh
            )

        return await self._storage.commit(merchant, store)


def _secret(credential: Credential) -> SealedSecret:
    if credential.secret is None:
        raise InvariantBroken
    return credential.secret
