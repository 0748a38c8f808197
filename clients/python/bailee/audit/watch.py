"""One look at a log by somebody who has looked before.

The order is fixed:
  1. what the platform asked for, and its receipts, are taken from its journal,
  2. the checkpoint is signed with the pinned key,
  3. it is no smaller than any that was seen, here or in a receipt,
  4. all new entries are read; with those seen before they give the signed root,
  5. each new entry is readable, dated plausibly, and what was asked for,
  6. every receipt, and what the operator log commits to, is of this log,
  7. what was answered is in the log,
  8. the checkpoint is cosigned, if nothing is wrong with the log itself.

Invariants:
  * What was seen is never replaced by what does not continue it.
  * Time is this watcher's own. The gateway's dates are compared with it, never used.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final

from bailee.audit.commitments import CommitmentInvalid, read_commitment
from bailee.audit.entries import Entry, EntryInvalid, is_entry, read_entry
from bailee.audit.findings import Finding, Kind
from bailee.audit.journal import Answered, Asked, read_journal
from bailee.audit.keys import VerifierKey
from bailee.audit.matching import CLOCKS_DIFFER, Matcher
from bailee.audit.policies import PolicyClock
from bailee.audit.sources import Source, SourceBroken
from bailee.audit.store import Store
from bailee.audit.tree import GrowingTree, leaf_hash
from bailee.audit.witness import WitnessKey
from bailee.errors import ReceiptInvalid
from bailee.receipts import Checkpoint, open_checkpoint, verify_receipt

GRACE: Final = timedelta(minutes=5)
_CHUNK: Final = 1000


class _NotThisLog(Exception):
    """The log that is shown is not the one that was seen; carries the finding."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.text)
        self.finding = finding


@dataclass(slots=True)
class Report:
    """What one look found; of the findings, those that are new."""

    size: int = 0
    new_entries: int = 0
    findings: list[Finding] = field(default_factory=list)
    cosigned: str = ""


class Watcher:
    """Watches one log."""

    def __init__(
        self,
        *,
        key: VerifierKey,
        source: Source,
        store: Store,
        journal: Path | None = None,
        witness: WitnessKey | None = None,
        grace: timedelta = GRACE,
    ) -> None:
        """Makes a watcher.

        Args:
            key: The log's pinned key.
            source: Who shows the log.
            store: What was seen before.
            journal: The platform's request journal; without it, uses are not matched.
            witness: Cosigns the checkpoints that hold.
            grace: How long an entry may wait for its request.
        """
        self._key = key
        self._source = source
        self._store = store
        self._journal = journal
        self._witness = witness
        self._matcher = Matcher(store, grace=grace)
        self._policies = PolicyClock(store)
        self._merchant = _merchant_of(key)

    def look(self, now: datetime) -> Report:
        """Looks once; keeps what it saw and what it found.

        Raises:
            SourceBroken: The log could not be read.
            BaileeError: The gateway did not answer.
            JournalBroken: The journal could not be read.
        """
        report = Report()
        with self._store.look():
            if self._journal is not None:
                report.findings += self._read_journal(self._journal)
            try:
                with self._store.attempt():
                    note = self._source.checkpoint()
                    self._follow(note, report, now)
            except _NotThisLog as error:
                report.findings.append(error.finding)
            else:
                report.findings += self._find_gaps(now)
                self._store.put("looked_at", now.isoformat())
                if self._witness is not None:
                    line = self._witness.cosign(note, now)
                    report.cosigned = note + line
            report.findings = [
                finding
                for finding in report.findings
                if self._store.add_finding(finding, now)
            ]
        return report

    def _read_journal(self, journal: Path) -> list[Finding]:
        """Step 1."""
        findings = []
        offset = int(self._store.get("journal_offset") or 0)
        for line, after in read_journal(journal, offset):
            match line:
                case Asked():
                    self._store.add_asked(line)
                case Answered():
                    self._store.add_answered(line.request_id, line.result, line.at)
                    findings += self._keep_receipt(line)
            offset = after
        self._store.put("journal_offset", str(offset))
        return findings

    def _keep_receipt(self, answered: Answered) -> list[Finding]:
        if answered.receipt is None:
            return []
        try:
            proved = verify_receipt(
                answered.receipt,
                log_origin=self._key.name,
                log_key=self._key.public_key,
            )
        except ReceiptInvalid as error:
            text = f"the receipt of request {answered.request_id}: {error}"
            return [Finding(Kind.SIGNATURE, None, text)]
        checkpoint = proved.checkpoint
        self._store.add_receipt(
            proved.index, checkpoint.size, leaf_hash(proved.entry), checkpoint.root
        )
        return []

    def _follow(self, note: str, report: Report, now: datetime) -> None:
        """Steps 2 to 6."""
        signed = self._open(note)
        seen = self._store.size()
        self._check_size(signed, seen)
        committed = self._read_commitment(signed)
        roots = self._roots_before(seen, committed)
        self._check_receipts(roots)
        tree = self._load_tree(seen)
        wanted = {size for _, size, _, _ in self._store.receipts(signed.size)}
        if committed is not None:
            wanted.add(committed.size)
        for chunk in _chunks(self._source.entries(seen, signed.size)):
            hashes = [leaf_hash(leaf) for leaf in chunk]
            self._store.add_hashes(tree.size, hashes)
            first = tree.size
            for value in hashes:
                tree.add([value])
                if tree.size in wanted:
                    roots[tree.size] = tree.root()
            report.findings += self._check_entries(first, chunk, now)
        if (tree.size, tree.root()) != (signed.size, signed.root):
            raise _NotThisLog(
                Finding(
                    Kind.REWRITTEN,
                    None,
                    f"the {signed.size} entries shown, with the {seen} seen before, do "
                    "not give the signed root: the log was rewritten or forked. Keep "
                    "this folder and both checkpoints: together they are the proof",
                )
            )
        self._check_receipts(roots)
        if committed is not None and roots[committed.size] != committed.root:
            raise _committed_otherwise(committed)
        self._store.put("roots", "".join(root.hex() for root in tree.roots))
        self._store.put("checkpoint", note)
        report.size, report.new_entries = signed.size, signed.size - seen

    def _open(self, note: str) -> Checkpoint:
        """Step 2."""
        try:
            return open_checkpoint(
                note, log_origin=self._key.name, log_key=self._key.public_key
            )
        except ReceiptInvalid as error:
            raise _NotThisLog(Finding(Kind.SIGNATURE, None, str(error))) from error

    def _check_size(self, signed: Checkpoint, seen: int) -> None:
        """Step 3."""
        promised = max(seen, self._store.later_receipts(signed.size))
        if signed.size < promised:
            where = "this watcher saw" if promised == seen else "a receipt proves"
            raise _NotThisLog(
                Finding(
                    Kind.REWRITTEN,
                    None,
                    f"{where} {promised} entries, and the checkpoint shown now has "
                    f"{signed.size}: it is old, or the log was cut off",
                )
            )

    def _load_tree(self, seen: int) -> GrowingTree:
        joined = bytes.fromhex(self._store.get("roots"))
        roots = [joined[at : at + 32] for at in range(0, len(joined), 32)]
        return GrowingTree(seen, roots)

    def _read_commitment(self, signed: Checkpoint) -> Checkpoint | None:
        """Returns what the operator log commits to, if the source has a proof."""
        message = self._source.commitment()
        if message is None:
            return None
        try:
            committed = read_commitment(message, self._key)
        except CommitmentInvalid as error:
            text = f"the operator log's commitment to this log: {error}"
            raise _NotThisLog(Finding(Kind.SIGNATURE, None, text)) from error
        if committed.size > signed.size:
            raise _committed_otherwise(committed)
        return committed

    def _roots_before(
        self, seen: int, committed: Checkpoint | None
    ) -> dict[int, bytes]:
        """Returns the roots that late receipts, and the commitment, speak of."""
        named = {size for _, size, _, _ in self._store.receipts(seen)}
        if committed is not None and committed.size <= seen:
            named.add(committed.size)
        sizes = sorted(named)
        roots: dict[int, bytes] = {}
        if not sizes:
            return roots
        tree, hashes = GrowingTree(), self._store.hashes(sizes[-1])
        for size in sizes:
            tree.add(islice(hashes, size - tree.size))
            roots[size] = tree.root()
        return roots

    def _check_receipts(self, roots: dict[int, bytes]) -> None:
        """Step 6, for the receipts of these sizes."""
        for position, size, digest, root in self._store.receipts(max(roots, default=0)):
            if roots.get(size) == root and self._store.hash_at(position) == digest:
                continue
            raise _NotThisLog(
                Finding(
                    Kind.REWRITTEN,
                    position,
                    f"a receipt proves another entry, or another log of {size} "
                    "entries, than the one shown: the receipt is the proof, keep it",
                )
            )
        self._store.drop_receipts(max(roots, default=0))

    def _check_entries(
        self, first: int, leaves: list[bytes], now: datetime
    ) -> list[Finding]:
        """Step 5."""
        findings: list[Finding] = []
        looked_at = self._store.get("looked_at")
        earliest = datetime.fromisoformat(looked_at) if looked_at else None
        for index, leaf in enumerate(leaves, first):
            try:
                entry = read_entry(index, leaf, self._merchant)
            except EntryInvalid as error:
                findings.append(Finding(Kind.UNREADABLE, index, str(error)))
                continue
            findings += _check_time(entry, earliest, now)
            findings += self._policies.check(entry, now)
            if self._journal is not None:
                findings += self._matcher.check(entry, leaf, now)
        return findings

    def _find_gaps(self, now: datetime) -> list[Finding]:
        """Step 7, and what waited for its request."""
        if self._journal is None:
            return []
        findings = []
        for index, leaf, seen_at in self._store.waiting():
            entry = read_entry(index, leaf, self._merchant)
            found = self._matcher.check_again(entry, seen_at, now)
            if found is not None:
                self._store.stop_waiting(index)
                findings += found
        findings += self._matcher.find_omitted()
        return findings + self._matcher.find_unfinished(now)


def verify(source: Source, key: VerifierKey) -> tuple[Checkpoint, int]:
    """Checks a whole log once; returns its checkpoint and how many entries it read.

    Raises:
        SourceBroken: The log cannot be read.
        ReceiptInvalid: The checkpoint is not signed with the key, or signs another log.
        EntryInvalid: An entry is not one of this log.
    """
    signed = open_checkpoint(
        source.checkpoint(), log_origin=key.name, log_key=key.public_key
    )
    merchant = _merchant_of(key).encode()
    tree = GrowingTree()
    for chunk in _chunks(source.entries(0, signed.size)):
        for index, leaf in enumerate(chunk, tree.size):
            if not is_entry(leaf, merchant):
                raise EntryInvalid(f"entry {index}: {_fault(index, leaf, key)}")
        tree.add(leaf_hash(leaf) for leaf in chunk)
    if (tree.size, tree.root()) != (signed.size, signed.root):
        raise SourceBroken(
            "the entries do not give the signed root: at least one was altered, moved, "
            "added or left out"
        )
    return signed, tree.size


def _merchant_of(key: VerifierKey) -> str:
    return key.name.rsplit("/m/", 1)[-1].split("/", 1)[0]


def _fault(index: int, leaf: bytes, key: VerifierKey) -> str:
    """Says in words why bytes are not an entry of this log."""
    try:
        read_entry(index, leaf, _merchant_of(key))
    except EntryInvalid as error:
        return str(error)
    return "a field of it is not of the documented form"


def _committed_otherwise(committed: Checkpoint) -> _NotThisLog:
    return _NotThisLog(
        Finding(
            Kind.REWRITTEN,
            None,
            f"the operator log commits to another log of {committed.size} entries than "
            "the one shown here: two readers are shown different logs",
        )
    )


def _check_time(
    entry: Entry, earliest: datetime | None, now: datetime
) -> Iterable[Finding]:
    """An entry that is new to us was made since we looked, and not after now."""
    if earliest is not None and entry.at < earliest - CLOCKS_DIFFER:
        yield Finding(
            Kind.BACKDATED,
            entry.index,
            f"it is dated {entry.get('time')}, and was not in the log when this "
            f"watcher looked at {earliest:%Y-%m-%d %H:%M} UTC",
        )
    if entry.at > now + CLOCKS_DIFFER:
        yield Finding(
            Kind.BACKDATED,
            entry.index,
            f"it is dated {entry.get('time')}, which is in the future: one of the two "
            "clocks is wrong",
        )


def _chunks(leaves: Iterator[bytes]) -> Iterator[list[bytes]]:
    while chunk := list(islice(leaves, _CHUNK)):
        yield chunk
