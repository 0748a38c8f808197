"""What an audit can find, in words that a person acts on."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Classes of findings; docs/evidence.md says what each proves."""

    SIGNATURE = "signature"  # the checkpoint is not signed with the pinned key
    REWRITTEN = "rewritten"  # the log is not the one that was seen before
    OMITTED = "omitted"  # something that was done or promised is not in the log
    UNASKED = "unasked"  # a use that the platform did not ask for
    DIFFERS = "differs"  # a use that is not the one that was asked for
    REPEATED = "repeated"  # more than one use for one request
    BACKDATED = "backdated"  # an entry claims a time that cannot be
    PURPOSE = "purpose"  # a use for what no card may be used for
    POLICY = "policy"  # a policy that holds earlier than it may
    UNFINISHED = "unfinished"  # a use whose outcome never came
    UNREADABLE = "unreadable"  # an entry that this software does not understand


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not fit. ``index`` is the entry's, if it is about one."""

    kind: str
    index: int | None
    text: str

    def show(self) -> str:
        """Returns the finding in one line."""
        where = "" if self.index is None else f"entry {self.index}: "
        return f"{self.kind.upper()}: {where}{self.text}"
