"""Connections to the database file, safe or refused.

Invariants:
  * A commit is on disk when it returns: WAL with ``synchronous=FULL`` (I5).
  * What is deleted or overwritten is zeroed (``secure_delete``), and nothing is put
    into temporary files: the database and its log are the only places that hold data.
  * Each setting is read back: SQLite ignores what it does not understand.
  * One process has the database open for writing.
"""

import fcntl
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gateway.errors import StorageUnavailable

Connect = Callable[[Path], sqlite3.Connection]

_BUSY_TIMEOUT_MILLISECONDS: Final = 5_000
_FILE_MODE: Final = 0o600

# What each PRAGMA answers once it is set: 2 is FULL, and 2 is MEMORY.
_REQUIRED: Final = {
    "journal_mode": ("WAL", "wal"),
    "synchronous": ("FULL", 2),
    "secure_delete": ("ON", 1),
    "foreign_keys": ("ON", 1),
    "temp_store": ("MEMORY", 2),
    "trusted_schema": ("OFF", 0),
    "busy_timeout": (_BUSY_TIMEOUT_MILLISECONDS, _BUSY_TIMEOUT_MILLISECONDS),
    # 16 MiB of log between checkpoints: hot pages are written once, not many times.
    "wal_autocheckpoint": (4_000, 4_000),
    "cache_size": (-65_536, -65_536),
}


def connect_sqlite(path: Path) -> sqlite3.Connection:
    """Opens a connection that begins and ends transactions only when told to."""
    # A URI, because sqlite3.connect would create a missing file.
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=512,
    )


def create_file(path: Path) -> None:
    """Makes sure the database exists and only its owner may read it.

    SQLite gives its log and shared-memory files the mode of the database.

    Raises:
        OSError: The folder does not exist, or is not ours to write.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, _FILE_MODE))
    except FileExistsError:
        path.chmod(_FILE_MODE)
        return
    # SQLite syncs the file but not the name of a database that it did not create.
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def open_writer(path: Path, connect: Connect) -> sqlite3.Connection:
    """Opens the connection that writes, with every setting verified.

    Raises:
        StorageUnavailable: The file cannot be opened, or a setting did not hold.
    """
    try:
        connection = connect(path)
    except sqlite3.Error as error:
        raise StorageUnavailable from error
    return _configure(connection, read_only=False)


def open_reader(path: Path, connect: Connect) -> sqlite3.Connection:
    """Opens a connection that cannot write.

    Raises:
        StorageUnavailable: The file cannot be opened, or a setting did not hold.
    """
    try:
        connection = connect(path)
    except sqlite3.Error as error:
        raise StorageUnavailable from error
    return _configure(connection, read_only=True)


def _configure(
    connection: sqlite3.Connection, *, read_only: bool
) -> sqlite3.Connection:
    required = dict(_REQUIRED)
    if read_only:
        required["query_only"] = ("ON", 1)
    try:
        for name, (setting, answer) in required.items():
            connection.execute(f"PRAGMA {name}={setting}").fetchall()
            if connection.execute(f"PRAGMA {name}").fetchone() != (answer,):
                raise StorageUnavailable(metadata={"setting": name})
    except sqlite3.Error as error:
        connection.close()
        raise StorageUnavailable from error
    except StorageUnavailable:
        connection.close()
        raise
    return connection


class WriterLock:
    """Keeps a second process from opening the database for writing.

    A lock of the kernel on a file beside the database: it ends with the process,
    however the process ends.
    """

    def __init__(self, path: Path) -> None:
        """Takes the lock.

        Raises:
            StorageUnavailable: Another process, or another part of this one, holds
                it; or the lock file cannot be made.
        """
        file = path.with_name(f"{path.name}.lock")
        try:
            self._descriptor = os.open(file, os.O_CREAT | os.O_RDWR, _FILE_MODE)
        except OSError as error:
            raise StorageUnavailable from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            in_use = {"database": "another process, such as bailee serve, has it open"}
            raise StorageUnavailable(metadata=in_use) from error

    def release(self) -> None:
        """Gives the lock back. The file stays: removing it would race."""
        os.close(self._descriptor)
