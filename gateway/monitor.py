"""What is looked at while the gateway serves: storage, keys, certificates, backlog.

Each look tells ``Parts`` what it found, and the gauges show what was seen last. A look
that fails in a way nobody foresaw is the loop's business (loops.py).
"""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from gateway.adapters import BUILD
from gateway.app import Gateway
from gateway.errors import IntegrityViolation, KeyUnavailable, StorageUnavailable
from gateway.parts import CERTIFICATES, CLOCK, KEYS, RETENTION, STORAGE, PartState
from gateway.policy.keep_policy_time import KeepPolicyTime
from gateway.rpc.tls import TlsExpiry, TlsFiles, TlsFilesUnusable
from gateway.storage.census import Census

_RENEW_CERTIFICATE_BEFORE: Final = timedelta(days=7)
_CLOCK_AHEAD: Final = (
    "the clock is further ahead than time can have passed since the last start; until "
    "`bailee clock accept` no wider policy takes effect and nothing is swept"
)
_PROBE_SECONDS: Final = 10.0
_PROBE_KEY: Final = bytes(32)
_PROBE_CONTEXT: Final = b"bailee-probe"


class Monitor:
    """Looks at one gateway."""

    def __init__(self, gateway: Gateway, tls_files: TlsFiles) -> None:
        self._gateway = gateway
        self._parts = gateway.parts
        self._tls_files = tls_files
        self._expiry: TlsExpiry | None = None
        self._census: Census | None = None
        self._keep_policy_time = KeepPolicyTime(
            storage=gateway.storage,
            clock=gateway.clock,
            policy_time=gateway.policy_time,
        )
        for part in (STORAGE, KEYS, CERTIFICATES, CLOCK, RETENTION):
            self._parts.mend(part)

    async def look_at_storage(self) -> None:
        """Writes something that changes nothing; without that, storage is down."""
        storage = self._gateway.storage
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                await storage.probe()
        except StorageUnavailable:
            self._parts.report(STORAGE, PartState.DOWN, storage.problem)
        except TimeoutError:
            problem = f"no commit in {_PROBE_SECONDS:g} s; look at the disk"
            self._parts.report(STORAGE, PartState.DOWN, problem)
        else:
            self._parts.mend(STORAGE)

    async def look_at_keys(self) -> None:
        """Wraps and unwraps a key of zeros, and reads the keyring again."""
        keys = self._gateway.keys
        try:
            epoch, *_ = keys.epochs()
            wrapped = await keys.wrap(epoch, _PROBE_KEY, _PROBE_CONTEXT)
            await keys.unwrap(epoch, wrapped, _PROBE_CONTEXT)
        except (KeyUnavailable, IntegrityViolation) as error:
            self._parts.report(KEYS, PartState.DOWN, _explain(error))
            return
        try:
            await asyncio.to_thread(keys.refresh)
        except KeyUnavailable as error:
            problem = f"{_explain(error)}; without it no start and no rotation succeeds"
            self._parts.report(KEYS, PartState.DEGRADED, problem)
            return
        self._parts.mend(KEYS)

    async def sweep_cards(self) -> None:
        """Erases what may not be kept any longer; asks when that is too much."""
        found = await self._gateway.sweeper.run()
        if found.asks:
            problem = (
                f"{len(found.due)} of {found.active} cards may not be kept any longer, "
                "more than go by themselves in a day; look: bailee retention sweep"
            )
            self._parts.report(RETENTION, PartState.DEGRADED, problem)
        else:
            self._parts.mend(RETENTION)

    async def look_at_clock(self) -> None:
        """Keeps the time that policies take effect by; see KeepPolicyTime."""
        ahead = await self._keep_policy_time.run_once()
        state = PartState.DEGRADED if ahead else PartState.USABLE
        self._parts.report(CLOCK, state, _CLOCK_AHEAD if ahead else "")

    async def look_at_certificates(self) -> None:
        """Reads the files that the next handshake would use."""
        try:
            self._expiry = await asyncio.to_thread(self._tls_files.examine)
        except TlsFilesUnusable as error:
            problem = f"{error}; the old certificate serves until the files fit"
        else:
            problem = self._find_expiry(self._expiry)
        state = PartState.DEGRADED if problem else PartState.USABLE
        self._parts.report(CERTIFICATES, state, problem)

    def _find_expiry(self, expiry: TlsExpiry) -> str:
        soon = self._gateway.clock.now() + _RENEW_CERTIFICATE_BEFORE
        if expiry.certificate <= soon:
            return f"the server's certificate ends at {expiry.certificate}; renew it"
        if expiry.client_ca <= soon:
            return f"the callers' authority ends at {expiry.client_ca}; renew it"
        return ""

    async def count_backlog(self) -> None:
        """Counts what waits.

        Raises:
            StorageUnavailable: The database did not answer.
        """
        self._census = await self._gateway.storage.census()

    def show(self) -> None:
        """Adds the gauges to the gateway's metrics."""
        gateway = self._gateway
        metrics, storage = gateway.metrics, gateway.storage
        metrics.show_each(
            "bailee_build_info", "The build.", "version", lambda: [(BUILD, 1)]
        )
        metrics.show_each(
            "bailee_part_state",
            "How a part is: 0 usable, 1 degraded, 2 down.",
            "part",
            self._parts.states,
        )
        metrics.show(
            "bailee_calls_running",
            "Calls that run now.",
            lambda: sum(guard.calls for guard in gateway.guards),
        )
        metrics.show(
            "bailee_streams_open",
            "Streams that are open now.",
            lambda: sum(len(guard.streams) for guard in gateway.guards),
        )
        metrics.show(
            "bailee_storage_queue_depth",
            "Units of work that wait for a commit.",
            storage.queue_depth,
        )
        metrics.show_each(
            "bailee_storage_bytes",
            "Size of the database, of its write-ahead log, and free space beside it.",
            "what",
            lambda: storage.sizes().items(),
        )
        metrics.show_each(
            "bailee_payments_waiting",
            "Payments whose outcome is not known, or that need a person.",
            "state",
            self._waiting,
        )
        metrics.show_each(
            "bailee_payments_waiting_oldest_seconds",
            "Age of the oldest of them.",
            "state",
            self._oldest,
        )
        metrics.show(
            "bailee_log_entries",
            "Entries of all audit logs: the sum of their checkpoints' sizes.",
            lambda: self._census.log_entries if self._census else 0,
        )
        metrics.show_each(
            "bailee_key_age_seconds", "Age of keys.", "key", self._key_ages
        )
        metrics.show_each(
            "bailee_expires_in_seconds",
            "Time until the newest sealing key, or a certificate, ends.",
            "what",
            self._time_left,
        )

    def _waiting(self) -> Iterator[tuple[str, float]]:
        if self._census is not None:
            for state, waiting in self._census.waiting.items():
                yield state.value.lower(), waiting.count

    def _oldest(self) -> Iterator[tuple[str, float]]:
        if self._census is None:
            return
        now = self._gateway.clock.now()
        for state, waiting in self._census.waiting.items():
            age = (now - waiting.oldest_at).total_seconds() if waiting.oldest_at else 0
            yield state.value.lower(), age

    def _key_ages(self) -> Iterator[tuple[str, float]]:
        """Yields the newest epoch key's age, and that of one not yet destroyed."""
        keys, now = self._gateway.keys, self._gateway.clock.now()
        for name, epoch in zip(("epoch", "epoch_before"), keys.epochs(), strict=False):
            made_at = keys.epoch_made_at(epoch)
            if made_at is not None:
                yield name, (now - made_at).total_seconds()

    def _time_left(self) -> Iterator[tuple[str, float]]:
        now = self._gateway.clock.now()
        newest = next(iter(self._gateway.keys.sealing_keys(now)), None)
        left = (newest.expires_at - now).total_seconds() if newest else 0
        yield "sealing_key", left
        if self._expiry is not None:
            ends, client_ca = self._expiry.certificate, self._expiry.client_ca
            yield "server_certificate", (ends - now).total_seconds()
            yield "callers_authority", (client_ca - now).total_seconds()


def _explain(error: KeyUnavailable | IntegrityViolation) -> str:
    details = "; ".join(f"{name} {text}" for name, text in error.metadata.items())
    return details or error.message
