"""Where a log is read from: a gateway, or a folder of static files.

Invariants:
  * A source is never believed. What it returns is compared with the signed root.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

import grpc

from bailee.bundle import Bundle
from bailee.errors import from_rpc_error
from bailee.v1 import audit_service_pb2, audit_service_pb2_grpc

_TILE_WIDTH: Final = 256
_LENGTH_BYTES: Final = 2
_GROUP: Final = 1000
_PAGE: Final = 1000
_TIMEOUT_SECONDS: Final = 30.0
_NOTE_BYTES_MAX: Final = 65_536
_BUNDLE_BYTES_MAX: Final = _TILE_WIDTH * (_LENGTH_BYTES + 0xFFFF)


class SourceBroken(Exception):
    """The log cannot be read as it should; the text says what is missing."""


class Source(Protocol):
    """A log as somebody shows it."""

    def checkpoint(self) -> str:
        """Returns the newest checkpoint, a C2SP note."""

    def commitment(self) -> audit_service_pb2.OperatorCommitment | None:
        """Returns what the operator log commits to, as of the last checkpoint."""

    def entries(self, start: int, stop: int) -> Iterator[bytes]:
        """Yields the entries from ``start`` to before ``stop``, in order.

        Raises:
            SourceBroken: One is missing or cut off.
        """


class ExportSource:
    """A folder of C2SP tlog-tiles (https://c2sp.org/tlog-tiles)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def checkpoint(self) -> str:
        """See Source.checkpoint."""
        try:
            return self._read("checkpoint", _NOTE_BYTES_MAX).decode("utf-8")
        except UnicodeDecodeError as error:
            raise SourceBroken("the checkpoint is not text") from error

    def commitment(self) -> None:
        """See Source.commitment: files have none."""

    def entries(self, start: int, stop: int) -> Iterator[bytes]:
        """See Source.entries."""
        for number in range(start // _TILE_WIDTH, -(-stop // _TILE_WIDTH)):
            first = number * _TILE_WIDTH
            width = min(_TILE_WIDTH, stop - first)
            leaves = _split(self._bundle(number, width), first)
            if len(leaves) < width:
                raise SourceBroken(f"entry {first + len(leaves)} is missing")
            yield from leaves[max(start - first, 0) : width]

    def _bundle(self, number: int, width: int) -> bytes:
        """Reads a bundle of at least ``width`` entries; a partial one if need be."""
        path = _tile_path(number)
        partial = self._folder / f"{path}.p"
        if width < _TILE_WIDTH and not (self._folder / path).is_file():
            widths = [
                int(file.name) for file in partial.glob("*") if file.name.isdecimal()
            ]
            wide = min((have for have in widths if have >= width), default=width)
            path = f"{path}.p/{wide}"
        return self._read(path, _BUNDLE_BYTES_MAX)

    def _read(self, name: str, bytes_max: int) -> bytes:
        file = self._folder / name
        try:
            if not file.is_file():  # a pipe or a device would never end
                raise SourceBroken(f"the file {name} is missing")
            with file.open("rb") as stream:
                if os.fstat(stream.fileno()).st_size > bytes_max:
                    raise SourceBroken(f"the file {name} is too long")
                return stream.read(bytes_max)
        except OSError as error:
            raise SourceBroken(f"the file {name} cannot be read") from error


class GatewaySource:
    """A gateway's AuditService. The bundle's caller needs the role auditor or read."""

    def __init__(self, bundle: Bundle) -> None:
        credentials = grpc.ssl_channel_credentials(
            root_certificates=bundle.ca_certificate,
            private_key=bundle.client_key,
            certificate_chain=bundle.client_certificate,
        )
        options = [("grpc.enable_http_proxy", 0)]
        self._merchant = bundle.merchant
        self._commitment: audit_service_pb2.OperatorCommitment | None = None
        self._channel = grpc.secure_channel(bundle.address, credentials, options)
        self._stub = audit_service_pb2_grpc.AuditServiceStub(self._channel)

    def checkpoint(self) -> str:
        """See Source.checkpoint.

        Raises:
            BaileeError: The gateway did not answer, or refused.
        """
        request = audit_service_pb2.GetCheckpointRequest(merchant=self._merchant)
        try:
            answer = self._stub.GetCheckpoint(request, timeout=_TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            raise from_rpc_error(error, "") from None
        self._commitment = None
        if answer.HasField("operator_commitment"):
            self._commitment = answer.operator_commitment
        return str(answer.checkpoint)

    def commitment(self) -> audit_service_pb2.OperatorCommitment | None:
        """See Source.commitment."""
        return self._commitment

    def entries(self, start: int, stop: int) -> Iterator[bytes]:
        """See Source.entries.

        Raises:
            BaileeError: The gateway did not answer, or refused.
        """
        while start < stop:
            request = audit_service_pb2.ListEntriesRequest(
                merchant=self._merchant,
                start_index=start,
                page_size=min(_PAGE, stop - start),
            )
            try:
                answer = self._stub.ListEntries(request, timeout=_TIMEOUT_SECONDS)
            except grpc.RpcError as error:
                raise from_rpc_error(error, "") from None
            for item in answer.entries:
                if item.index != start:
                    raise SourceBroken(f"entry {start} is missing")
                yield bytes(item.entry)
                start += 1
            if not answer.entries:
                raise SourceBroken(f"entry {start} is missing")

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()


def _tile_path(number: int) -> str:
    groups = [f"{number % _GROUP:03d}"]
    while number >= _GROUP:
        number //= _GROUP
        groups.insert(0, f"x{number % _GROUP:03d}")
    return f"tile/entries/{'/'.join(groups)}"


def _split(content: bytes, first: int) -> list[bytes]:
    """Returns the entries of a bundle: each comes after its length in two bytes."""
    leaves: list[bytes] = []
    at, end = 0, len(content)
    while at < end:
        begin = at + _LENGTH_BYTES
        at = begin + int.from_bytes(content[at:begin], "big")
        if at > end:
            raise SourceBroken(f"entry {first + len(leaves)} is cut off")
        leaves.append(content[begin:at])
    return leaves
