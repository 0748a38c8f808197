"""A secret at rest: what the database holds of one."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSecret:
    """A sealed secret, its data key wrapped, and the wrapping key's id."""

    wrapping_key_id: str
    wrapped: bytes = field(repr=False)
    sealed: bytes = field(repr=False)
