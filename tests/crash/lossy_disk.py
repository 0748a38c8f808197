"""A disk that loses power: what was not synced is lost, kept or torn, at random.

A VFS for SQLite (apsw). Writes and truncations are held back until the file is synced;
when the power goes, each of those held back reaches the disk or not, some in part. From
then on every operation fails, as it does for a process whose machine is gone.

``connect`` gives a connection over it with the part of sqlite3's interface that the
engine uses, so that the engine's own code runs on it, statement for statement.
"""

import random
import sqlite3
from contextlib import contextmanager

import apsw

SECTOR_BYTES = 512
_NAMES = iter(range(10**9))


class Disk(apsw.VFS):
    """One machine's disk. The power goes at operation number ``cut_at``."""

    def __init__(self, *, seed, cut_at):
        self.random = random.Random(seed)
        self.cut_at = cut_at
        self.operations = 0
        self.is_on = True
        self.files = []
        self.name = f"lossy-{next(_NAMES)}"
        super().__init__(self.name, "")

    def xOpen(self, name, flags):  # noqa: N802 - SQLite's name
        self.check()
        file = File(self, name, flags)
        self.files.append(file)
        return file

    def xDelete(self, filename, syncdir):  # noqa: N802
        self.check()
        return super().xDelete(filename, syncdir)

    def operate(self):
        """Counts an operation that changes the disk; the power may go before it."""
        self.check()
        self.operations += 1
        if self.operations == self.cut_at:
            self.cut()
        self.check()

    def check(self):
        if not self.is_on:
            raise apsw.IOError("the power is off")

    def cut(self):
        self.is_on = False
        for file in self.files:
            file.lose_power(self.random)


class File(apsw.VFSFile):
    """A file whose unsynced changes are held back."""

    def __init__(self, disk, name, flags):
        self.disk = disk
        self.held = []
        super().__init__("", name, flags)

    def xWrite(self, data, offset):  # noqa: N802
        self.disk.operate()
        self.held.append((offset, bytes(data)))

    def xTruncate(self, size):  # noqa: N802
        self.disk.operate()
        self.held.append((size, None))

    def xSync(self, flags):  # noqa: N802
        self.disk.operate()
        self._apply(self.held)
        super().xSync(flags)

    def xFileSize(self):  # noqa: N802
        self.disk.check()
        return len(self._content()) if self.held else super().xFileSize()

    def xRead(self, amount, offset):  # noqa: N802
        self.disk.check()
        if not self.held:
            return super().xRead(amount, offset)
        return self._content()[offset : offset + amount]

    def lose_power(self, random_source):
        """Lets each held change reach the disk, or not, or in part."""
        kept = []
        for offset, data in self.held:
            fate = random_source.random()
            if fate < 0.4:
                continue
            if data is not None and fate < 0.6:
                sectors = random_source.randint(0, len(data) // SECTOR_BYTES)
                kept.append((offset, data[: sectors * SECTOR_BYTES]))
            else:
                kept.append((offset, data))
        self._apply(kept)

    def _content(self):
        size = super().xFileSize()
        content = bytearray(super().xRead(size, 0) if size else b"")
        for offset, data in self.held:
            if data is None:
                del content[offset:]
                continue
            content.extend(bytes(max(0, offset - len(content))))
            content[offset : offset + len(data)] = data
        return bytes(content)

    def _apply(self, changes):
        for offset, data in changes:
            if data is None:
                super().xTruncate(offset)
            elif data:
                super().xWrite(data, offset)
        self.held = []


@contextmanager
def _as_sqlite3():
    """Turns apsw's errors into those of the driver that the engine knows."""
    try:
        yield
    except apsw.ConstraintError as error:
        raise sqlite3.IntegrityError(str(error)) from error
    except apsw.Error as error:
        seen = sqlite3.OperationalError(str(error))
        seen.sqlite_errorcode = getattr(error, "extendedresult", 0)
        seen.sqlite_errorname = type(error).__name__
        raise seen from error


class Result:
    """The part of sqlite3.Cursor that the engine uses."""

    def __init__(self, rows, connection):
        self._rows = iter(rows)
        self.rowcount = connection.changes()
        self.lastrowid = connection.last_insert_rowid()

    def __iter__(self):
        return self._rows

    def fetchone(self):
        return next(self._rows, None)

    def fetchall(self):
        return list(self._rows)


class Connection:
    """The part of sqlite3.Connection that the engine uses.

    ``instead`` maps a PRAGMA to the value that it really gets; the engine is told that
    its own value holds.
    """

    def __init__(self, path, disk, instead):
        self._instead = instead
        self._told = {}
        with _as_sqlite3():
            self._connection = apsw.Connection(
                str(path), vfs=disk.name, flags=apsw.SQLITE_OPEN_READWRITE
            )
            # Without shared memory, which this disk does not have.
            self._connection.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()

    @property
    def in_transaction(self):
        return self._connection.in_transaction

    def execute(self, sql, values=None):
        name, _, wanted = sql.removeprefix("PRAGMA ").partition("=")
        if sql.startswith("PRAGMA") and name in self._instead:
            if not wanted:
                return Result([(self._told[name],)], self._connection)
            self._told[name] = {"FULL": 2}.get(wanted) or int(wanted)
            sql = f"PRAGMA {name}={self._instead[name]}"
        with _as_sqlite3():
            cursor = self._connection.execute(sql, values)
            return Result(cursor.fetchall(), self._connection)

    def executemany(self, sql, rows):
        with _as_sqlite3():
            self._connection.executemany(sql, rows)

    def close(self):
        with _as_sqlite3():
            self._connection.close()


def connecting(disk, **instead):
    """Returns what makes the engine's connections."""

    def connect(path):
        return Connection(path, disk, instead)

    return connect
