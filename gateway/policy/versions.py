"""The versions of the policy, numbered from 1. Append-only: a version never changes.

Version 1 ships with the gateway. Later ones are published by the operator and stored.
"""

from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from typing import Final

from gateway.policy.document import Consent, PolicyDocument, read_document
from gateway.policy.permissions import Permissions


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyVersion:
    """A document under its number. ``published_at`` is None for what ships."""

    number: int
    document: PolicyDocument
    published_at: datetime | None = None

    @property
    def name(self) -> str:
        """What the document calls itself."""
        return self.document.name

    @property
    def sha256(self) -> str:
        """The document's hash, in hexadecimal."""
        return self.document.sha256

    @property
    def permissions(self) -> Permissions:
        """What the document allows."""
        return self.document.permissions

    @property
    def consent(self) -> Consent:
        """How an existing merchant comes under it, if it allows more."""
        return self.document.consent


def _shipped(name: str, number: int) -> PolicyVersion:
    file = files("gateway.policy") / "texts" / f"{name}-{number}.md"
    return PolicyVersion(number=number, document=read_document(file.read_bytes()))


SHIPPED: Final = _shipped("processing-only", 1)
