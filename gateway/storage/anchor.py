"""What is kept outside the database, so that an older one is noticed.

Two files in a folder of their own, which no backup of the database holds:

  * ``anchor``: how far each log had come when it was last written, at most a second
    after the commit. A database behind it was rolled back.
  * ``erasures``: each erased card token, written before the erasure commits, so that a
    restored backup can erase those cards again. Names only, never card data.

Layout, version 1, both of lines of text that end with a MAC (HMAC-SHA-256):

    bailee-anchor/v1 VAULT                      bailee-erasures/v1 VAULT MAC
    at TIME                                     TIME MERCHANT TOKEN MAC
    restored          (after a restore)         ...
    log MERCHANT GENERATION SIZE ROOT
    mac MAC

Invariants:
  * The anchor is replaced at once; the journal is only appended to, and synced.
  * A line of the journal without its end was never acknowledged, and is ignored.
"""

import hashlib
import hmac
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Self

from gateway.errors import AnchorUnusable
from gateway.words.identifiers import CardTokenName, MerchantId

MAC_LABEL: Final = "anchor"
ANCHOR: Final = "anchor"
ERASURES: Final = "erasures"

_ANCHOR_HEADER: Final = "bailee-anchor/v1"
_ERASURES_HEADER: Final = "bailee-erasures/v1"
_RESTORED: Final = "restored"
_FILE_MODE: Final = 0o600


@dataclass(frozen=True, slots=True)
class AnchoredLog:
    """How far one log had come."""

    generation: int
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Anchor:
    """How far every log had come at a time.

    ``is_restored``: a backup was put in place since, and is not accepted yet.
    """

    at: datetime
    logs: Mapping[MerchantId, AnchoredLog] = field(default_factory=dict)
    is_restored: bool = False


@dataclass(frozen=True, slots=True)
class Erasure:
    """A card token that was erased."""

    at: datetime
    merchant: MerchantId
    token: CardTokenName


class AnchorFolder:
    """The two files. Safe on any thread."""

    def __init__(self, folder: Path, vault_id: str, mac_key: bytes) -> None:
        """Use ``create`` or ``open``."""
        self._folder = folder
        self._vault_id = vault_id
        self._mac_key = mac_key
        self._writing = threading.Lock()

    @classmethod
    def open(cls, folder: Path, *, vault_id: str, mac_key: bytes) -> Self:
        """Opens an anchor that exists.

        Raises:
            AnchorUnusable: It does not exist.
        """
        if not (folder / ANCHOR).is_file() or not (folder / ERASURES).is_file():
            raise AnchorUnusable(metadata={"anchor": f"{folder} is not complete"})
        return cls(folder, vault_id, mac_key)

    @classmethod
    def create(
        cls, folder: Path, now: datetime, *, vault_id: str, mac_key: bytes
    ) -> Self:
        """Makes an anchor of no logs, or completes one that lacks a file."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = cls(folder, vault_id, mac_key)
        if not (folder / ERASURES).exists():
            header = f"{_ERASURES_HEADER} {vault_id}"
            made._replace(ERASURES, f"{header} {made._mac(header)}\n")
        if not (folder / ANCHOR).exists():
            made.write(Anchor(now))
        return made

    def read(self) -> Anchor:
        """Returns the anchor.

        Raises:
            AnchorUnusable: It cannot be read, is damaged, or of another vault.
        """
        text = self._text(ANCHOR)
        body, _, mac = text.rpartition("mac ")
        if not hmac.compare_digest(self._mac(body), mac.rstrip("\n")):
            raise self._damaged(ANCHOR)
        header, at, *logs = body.splitlines()
        is_restored = logs[:1] == [_RESTORED]
        if header != f"{_ANCHOR_HEADER} {self._vault_id}":
            raise self._damaged(ANCHOR)
        return Anchor(
            datetime.fromisoformat(at.removeprefix("at ")),
            dict(map(_read_log, logs[1:] if is_restored else logs)),
            is_restored,
        )

    def write(self, anchor: Anchor) -> None:
        """Replaces the anchor, durably.

        Raises:
            OSError: It cannot be written; the old one is there.
        """
        lines = [f"{_ANCHOR_HEADER} {self._vault_id}", f"at {anchor.at.isoformat()}"]
        lines += [_RESTORED] if anchor.is_restored else []
        lines += [
            f"log {merchant} {log.generation} {log.size} {log.root.hex()}"
            for merchant, log in sorted(anchor.logs.items())
        ]
        body = "\n".join(lines) + "\n"
        with self._writing:
            self._replace(ANCHOR, f"{body}mac {self._mac(body)}\n")

    def digest(self) -> bytes:
        """Returns what identifies this state of the anchor; empty if there is none."""
        try:
            return hashlib.sha256((self._folder / ANCHOR).read_bytes()).digest()
        except OSError:
            return b""

    def note_erasures(self, erasures: Sequence[Erasure]) -> None:
        """Appends to the journal, durably.

        Raises:
            OSError: It cannot be written: the erasures must not be acknowledged.
        """
        lines = []
        for erasure in erasures:
            line = f"{erasure.at.isoformat()} {erasure.merchant} {erasure.token}"
            lines.append(f"{line} {self._mac(line)}\n")
        content = "".join(lines).encode()
        flags = os.O_RDWR | os.O_APPEND
        with self._writing:
            handle = os.open(self._folder / ERASURES, flags)
            try:
                _cut_torn_line(handle)
                view = memoryview(content)
                while view:
                    view = view[os.write(handle, view) :]
                os.fsync(handle)
            finally:
                os.close(handle)

    def erasures(self) -> Iterable[Erasure]:
        """Returns what was erased, oldest first.

        Raises:
            AnchorUnusable: The journal cannot be read, or a whole line is damaged.
        """
        # What follows the last end of a line is torn: nobody was told about it.
        header, *lines = self._text(ERASURES).split("\n")[:-1] or [""]
        begin, _, mac = header.rpartition(" ")
        if begin != f"{_ERASURES_HEADER} {self._vault_id}":
            raise self._damaged(ERASURES)
        if not hmac.compare_digest(self._mac(begin), mac):
            raise self._damaged(ERASURES)
        found = []
        for line in lines:
            begin, _, mac = line.rpartition(" ")
            if not hmac.compare_digest(self._mac(begin), mac):
                raise self._damaged(ERASURES)
            at, merchant, token = begin.split(" ")
            moment = datetime.fromisoformat(at)
            found.append(Erasure(moment, MerchantId(merchant), CardTokenName(token)))
        return found

    def _text(self, name: str) -> str:
        try:
            return (self._folder / name).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            file = str(self._folder / name)
            raise AnchorUnusable(
                metadata={"anchor": f"{file} cannot be read"}
            ) from error

    def _damaged(self, name: str) -> AnchorUnusable:
        file = str(self._folder / name)
        return AnchorUnusable(
            metadata={"anchor": f"{file} is damaged, or of another vault or keyring"}
        )

    def _replace(self, name: str, text: str) -> None:
        temporary = self._folder / f".{name}.new"
        temporary.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(temporary, flags, _FILE_MODE), "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._folder / name)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _mac(self, text: str) -> str:
        return hmac.new(self._mac_key, text.encode(), "sha256").hexdigest()


def _read_log(line: str) -> tuple[MerchantId, AnchoredLog]:
    _, merchant, generation, size, root = line.split(" ")
    log = AnchoredLog(int(generation), int(size), bytes.fromhex(root))
    return MerchantId(merchant), log


def _cut_torn_line(handle: int) -> None:
    """Removes what a power cut left of a line whose erasure never committed."""
    size = os.fstat(handle).st_size
    end = size
    while end and os.pread(handle, 1, end - 1) != b"\n":
        end -= 1
    if end < size:
        os.ftruncate(handle, end)
