"""A policy as one document: Markdown for people with its table for machines inside.

The table is the one fenced block of TOML. The hash is the SHA-256 of the document's
bytes, so that ``sha256sum`` is all it takes to check which text an entry of the log
names. docs/policy.md shows the form.
"""

import hashlib
import re
import tomllib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.policy.permissions import (
    DataElement,
    Initiator,
    Permissions,
    RecipientClass,
    Row,
)
from gateway.words.purposes import Purpose, Verb

DOCUMENT_BYTES_MAX: Final = 100_000
_TABLE: Final = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class PolicyInvalid(Exception):
    """The document is not a policy; the text says what is wrong with it."""


class Consent(StrEnum):
    """How an existing merchant comes under a version that allows more.

    ``CONTINUED_USE``: by using the gateway after the date in the notice, or by
    accepting. ``OPT_IN``: by accepting, and in no other way.
    """

    CONTINUED_USE = "continued_use"
    OPT_IN = "opt_in"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDocument:
    """What people read, its hash, and what it allows."""

    name: str
    consent: Consent
    text: str = field(repr=False)
    sha256: str
    permissions: Permissions = field(repr=False)


class _Allow(BaseModel):
    """One [[allow]] of the table."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    purposes: list[Purpose] = Field(min_length=1)
    verb: Verb
    initiators: list[Initiator] = Field(min_length=1)
    elements: list[DataElement] = Field(min_length=1)
    recipient: RecipientClass
    retention_days: int = Field(ge=0, le=36_500)

    def rows(self) -> list[Row]:
        """Returns a row for each purpose."""
        return [
            Row(
                purpose=purpose,
                verbs=frozenset({self.verb}),
                initiators=frozenset(self.initiators),
                elements=frozenset(self.elements),
                recipients=frozenset({self.recipient}),
                retention_days=self.retention_days,
            )
            for purpose in self.purposes
        ]


class _Table(BaseModel):
    """The table as written."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")
    consent: Consent = Consent.CONTINUED_USE
    allow: list[_Allow] = Field(min_length=1)


def read_document(content: bytes) -> PolicyDocument:
    """Reads a policy.

    Raises:
        PolicyInvalid: Too long, not UTF-8, no table or more than one, or the table
            lists what can never be allowed.
    """
    if len(content) > DOCUMENT_BYTES_MAX:
        raise PolicyInvalid(f"longer than {DOCUMENT_BYTES_MAX} bytes")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PolicyInvalid("not UTF-8") from error
    tables = _TABLE.findall(text)
    if len(tables) != 1:
        raise PolicyInvalid(
            f"{len(tables)} fenced blocks of TOML where the one table must be"
        )
    try:
        table = _Table.model_validate(tomllib.loads(tables[0]), strict=False)
        rows = [row for allow in table.allow for row in allow.rows()]
        permissions = Permissions.of(rows)
    except tomllib.TOMLDecodeError as error:
        raise PolicyInvalid(f"the table is not TOML: {error}") from error
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors(include_input=False, include_url=False)
        )
        raise PolicyInvalid(f"the table is wrong: {problems}") from error
    except ValueError as error:
        raise PolicyInvalid(f"the table is wrong: {error}") from error
    return PolicyDocument(
        name=table.name,
        consent=table.consent,
        text=text,
        sha256=hashlib.sha256(content).hexdigest(),
        permissions=permissions,
    )
