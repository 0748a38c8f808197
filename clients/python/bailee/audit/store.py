"""What a watcher remembers between two looks: one SQLite file of its own.

Invariants:
  * A look changes all of it or nothing: one transaction.
  * Leaf hashes are only added. What was seen once can be compared for ever.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from bailee.audit.findings import Finding
from bailee.audit.journal import Asked

_FORMAT: Final = "1"
_TABLES: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE hashes (position INTEGER PRIMARY KEY, hash BLOB NOT NULL);
CREATE TABLE requests (
    request_id TEXT PRIMARY KEY, asked TEXT NOT NULL, result TEXT, answered_at TEXT,
    entries INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX requests_without_entry ON requests (request_id)
    WHERE entries = 0 AND result = 'OK';
CREATE TABLE intents (
    position INTEGER PRIMARY KEY, request_id TEXT NOT NULL, facts TEXT NOT NULL,
    seen_at TEXT NOT NULL, finished INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX intents_by_request ON intents (request_id);
CREATE TABLE waiting (position INTEGER PRIMARY KEY, leaf BLOB NOT NULL, seen_at TEXT);
CREATE TABLE receipts (
    position INTEGER, size INTEGER, leaf_hash BLOB, root BLOB,
    PRIMARY KEY (position, size, root)
);
CREATE TABLE notices (
    version INTEGER PRIMARY KEY, sha256 TEXT, position INTEGER, first_seen TEXT,
    accepted_at TEXT
);
CREATE TABLE findings (
    number INTEGER PRIMARY KEY, kind TEXT NOT NULL, position INTEGER, text TEXT,
    found_at TEXT NOT NULL, acknowledged INTEGER NOT NULL DEFAULT 0,
    UNIQUE (kind, position, text)
);
"""


class StoreInvalid(Exception):
    """The file is not a watcher's memory of this log."""


class Store:
    """The memory of one log's watcher."""

    def __init__(self, path: Path, *, origin: str) -> None:
        """Opens the file, creating it.

        Raises:
            StoreInvalid: It remembers another log, or a newer version wrote it.
        """
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA synchronous=FULL")
        known = self._connection.execute("SELECT count(*) FROM sqlite_master")
        if known.fetchone()[0] == 0:
            self._connection.executescript(f"BEGIN;{_TABLES}COMMIT;")
            self.put("format", _FORMAT)
            self.put("origin", origin)
        if self.get("format") != _FORMAT:
            raise StoreInvalid(f"{path} is of a newer version; upgrade bailee")
        if self.get("origin") != origin:
            raise StoreInvalid(f"{path} remembers {self.get('origin')}, not {origin}")

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    @contextmanager
    def look(self) -> Iterator[None]:
        """Makes everything inside happen together, or not at all."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def get(self, key: str) -> str:
        """Returns a remembered text; empty if there is none."""
        row = self._one("SELECT value FROM meta WHERE key = ?", key)
        return "" if row is None else str(row[0])

    def put(self, key: str, value: str) -> None:
        """Remembers a text."""
        self._do("INSERT OR REPLACE INTO meta VALUES (?, ?)", key, value)

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Undoes what happens inside if it raises; for use inside a look."""
        self._connection.execute("SAVEPOINT attempt")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK TO attempt")
            raise
        finally:
            self._connection.execute("RELEASE attempt")

    # The log

    def size(self) -> int:
        """Returns how many entries were seen."""
        row = self._one("SELECT coalesce(max(position) + 1, 0) FROM hashes")
        return 0 if row is None else int(row[0])

    def hashes(self, stop: int | None = None) -> Iterator[bytes]:
        """Yields the hash of each entry seen, in order."""
        last = self.size() if stop is None else stop
        rows = self._connection.execute(
            "SELECT hash FROM hashes WHERE position < ? ORDER BY position", (last,)
        )
        for (value,) in rows:
            yield value

    def hash_at(self, position: int) -> bytes | None:
        """Returns the hash of an entry that was seen."""
        row = self._one("SELECT hash FROM hashes WHERE position = ?", position)
        return None if row is None else bytes(row[0])

    def add_hashes(self, first: int, hashes: Sequence[bytes]) -> None:
        """Remembers the hashes of new entries."""
        rows = [(first + place, value) for place, value in enumerate(hashes)]
        self._connection.executemany("INSERT INTO hashes VALUES (?, ?)", rows)

    # What the platform asked

    def add_asked(self, asked: Asked) -> None:
        """Remembers a request; the first of several with one id counts."""
        facts = json.dumps(asdict(asked))
        self._do(
            "INSERT OR IGNORE INTO requests (request_id, asked) VALUES (?, ?)",
            asked.request_id,
            facts,
        )

    def add_answered(self, request_id: str, result: str, at: str) -> None:
        """Remembers what became of a request."""
        self._do(
            "UPDATE requests SET result = ?, answered_at = ? WHERE request_id = ?",
            result,
            at,
            request_id,
        )

    def find_asked(self, request_id: str) -> Asked | None:
        """Returns a request of the platform."""
        row = self._one("SELECT asked FROM requests WHERE request_id = ?", request_id)
        return None if row is None else Asked(**json.loads(row[0]))

    def count_entry(self, request_id: str) -> None:
        """Notes that the log has an entry of this request."""
        self._do(
            "UPDATE requests SET entries = entries + 1 WHERE request_id = ?", request_id
        )

    def answered_without_entry(self) -> list[Asked]:
        """Returns the requests that were answered OK and left nothing in the log."""
        rows = self._connection.execute(
            "SELECT asked FROM requests WHERE entries = 0 AND result = 'OK'"
        )
        return [Asked(**json.loads(row[0])) for row in rows]

    # Uses

    def add_intent(
        self, position: int, request_id: str, facts: dict[str, Any], now: datetime
    ) -> None:
        """Remembers an announced use."""
        self._do(
            "INSERT INTO intents (position, request_id, facts, seen_at) "
            "VALUES (?, ?, ?, ?)",
            position,
            request_id,
            json.dumps(facts),
            now.isoformat(),
        )

    def intents(self, request_id: str) -> list[dict[str, Any]]:
        """Returns the facts of the uses that this request announced before.

        ``finished`` says whether the use has an outcome.
        """
        rows = self._connection.execute(
            "SELECT facts, finished FROM intents WHERE request_id = ? "
            "ORDER BY position",
            (request_id,),
        )
        return [json.loads(facts) | {"finished": bool(end)} for facts, end in rows]

    def finish_intents(self, request_id: str) -> int:
        """Notes the outcome of a request's uses; returns how many it had."""
        return self._connection.execute(
            "UPDATE intents SET finished = 1 WHERE request_id = ?", (request_id,)
        ).rowcount

    def unfinished(self, before: datetime) -> list[int]:
        """Returns the places of uses seen before a time that have no outcome."""
        rows = self._connection.execute(
            "SELECT position FROM intents WHERE finished = 0 AND seen_at < ?",
            (before.isoformat(),),
        )
        return [int(row[0]) for row in rows]

    def wait_for(self, position: int, leaf: bytes, now: datetime) -> None:
        """Keeps an entry whose request the journal does not have yet."""
        self._do(
            "INSERT INTO waiting VALUES (?, ?, ?)", position, leaf, now.isoformat()
        )

    def waiting(self) -> list[tuple[int, bytes, datetime]]:
        """Returns the entries that wait for their request."""
        rows = self._connection.execute("SELECT position, leaf, seen_at FROM waiting")
        return [(at, leaf, datetime.fromisoformat(seen)) for at, leaf, seen in rows]

    def stop_waiting(self, position: int) -> None:
        """Forgets a waiting entry."""
        self._do("DELETE FROM waiting WHERE position = ?", position)

    # Receipts

    def add_receipt(self, position: int, size: int, digest: bytes, root: bytes) -> None:
        """Keeps what a receipt proved, to be compared with the log."""
        self._do(
            "INSERT OR IGNORE INTO receipts VALUES (?, ?, ?, ?)",
            position,
            size,
            digest,
            root,
        )

    def receipts(self, size: int) -> list[tuple[int, int, bytes, bytes]]:
        """Returns the receipts of checkpoints up to a size: entry, size, hash, root."""
        rows = self._connection.execute(
            "SELECT position, size, leaf_hash, root FROM receipts WHERE size <= ? "
            "ORDER BY size",
            (size,),
        )
        return [(int(a), int(b), bytes(c), bytes(d)) for a, b, c, d in rows]

    def later_receipts(self, size: int) -> int:
        """Returns the largest size that a receipt speaks of, if beyond ``size``."""
        row = self._one("SELECT max(size) FROM receipts WHERE size > ?", size)
        return 0 if row is None or row[0] is None else int(row[0])

    def drop_receipts(self, size: int) -> None:
        """Forgets receipts that were compared."""
        self._do("DELETE FROM receipts WHERE size <= ?", size)

    # Policy

    def add_notice(
        self, version: int, sha256: str, position: int, now: datetime
    ) -> None:
        """Remembers when this watcher first saw a policy announced."""
        self._do(
            "INSERT OR IGNORE INTO notices (version, sha256, position, first_seen) "
            "VALUES (?, ?, ?, ?)",
            version,
            sha256,
            position,
            now.isoformat(),
        )

    def accept_notice(self, version: int, now: datetime) -> None:
        """Remembers that the merchant agreed at once."""
        self._do(
            "UPDATE notices SET accepted_at = ? WHERE version = ?",
            now.isoformat(),
            version,
        )

    def notice(self, version: int) -> tuple[str, datetime, bool] | None:
        """Returns hash, first sight and acceptance of a policy version."""
        row = self._one(
            "SELECT sha256, first_seen, accepted_at FROM notices WHERE version = ?",
            version,
        )
        if row is None:
            return None
        return str(row[0]), datetime.fromisoformat(row[1]), row[2] is not None

    # Findings

    def add_finding(self, finding: Finding, now: datetime) -> bool:
        """Keeps a finding; returns whether it is new."""
        before = self._connection.total_changes
        self._do(
            "INSERT OR IGNORE INTO findings (kind, position, text, found_at) "
            "VALUES (?, ?, ?, ?)",
            finding.kind,
            -1 if finding.index is None else finding.index,
            finding.text,
            now.isoformat(),
        )
        return self._connection.total_changes > before

    def findings(self) -> list[tuple[int, Finding, str]]:
        """Returns the findings that nobody acknowledged: number, finding, time."""
        rows = self._connection.execute(
            "SELECT number, kind, position, text, found_at FROM findings "
            "WHERE acknowledged = 0 ORDER BY number"
        )
        return [
            (number, Finding(kind, None if at < 0 else at, text), found_at)
            for number, kind, at, text, found_at in rows
        ]

    def acknowledge(self) -> int:
        """Marks every finding as known to a person; returns how many there were."""
        return self._connection.execute(
            "UPDATE findings SET acknowledged = 1 WHERE acknowledged = 0"
        ).rowcount

    def _do(self, statement: str, *values: Any) -> None:  # noqa: ANN401 - SQL values
        self._connection.execute(statement, values)

    def _one(self, statement: str, *values: Any) -> Any:  # noqa: ANN401 - a row
        return self._connection.execute(statement, values).fetchone()
