"""The versions of the policy. Append-only: a version, once shipped, never changes."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from gateway.errors import InvariantBroken
from gateway.words.purposes import GRANTABLE, Purpose


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyVersion:
    """A policy: what people read, its hash, and what it allows."""

    number: int
    name: str
    text: str = field(repr=False)
    sha256: str
    purposes: frozenset[Purpose]


def _shipped(number: int, name: str, purposes: frozenset[Purpose]) -> PolicyVersion:
    file = files("gateway.policy") / "texts" / f"{name}-{number}.md"
    content = file.read_bytes()
    return PolicyVersion(
        number=number,
        name=name,
        text=content.decode(),
        sha256=hashlib.sha256(content).hexdigest(),
        purposes=purposes,
    )


NEWEST: Final = _shipped(1, "processing-only", GRANTABLE | {Purpose.ERASURE})

VERSIONS: Final[Mapping[int, PolicyVersion]] = MappingProxyType({1: NEWEST})


def version_numbered(number: int) -> PolicyVersion:
    """Returns a version.

    Raises:
        InvariantBroken: A merchant is under a version that was never shipped.
    """
    version = VERSIONS.get(number)
    if version is None:
        raise InvariantBroken
    return version
