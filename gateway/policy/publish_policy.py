"""PublishPolicy: the operator's next version, and notice of it to every merchant.

The order is fixed: the version is stored and logged; then merchants are told, one unit
each. What the version takes away holds from the first moment on, told or not.
"""

from dataclasses import dataclass

from gateway.audit.entry import Entry, EntryType
from gateway.policy.document import PolicyDocument, read_document
from gateway.policy.notify_merchants import NotifyingStorage, NotifyMerchants
from gateway.policy.permissions import Widening
from gateway.policy.ports import PolicyUnit
from gateway.policy.versions import PolicyVersion
from gateway.words.clock import Clock
from gateway.words.identifiers import GATEWAY, RequestId


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The version, how it differs from the one before, and who was told.

    ``narrowings`` are what the version before allows and this one does not. ``is_new``
    is False when the newest version already was this document.
    """

    version: PolicyVersion
    widenings: tuple[Widening, ...]
    narrowings: tuple[Widening, ...]
    told: int
    is_new: bool


class PublishPolicy:
    """Publishes. Publishing the newest document again only finishes the telling."""

    def __init__(
        self, *, storage: NotifyingStorage, notify: NotifyMerchants, clock: Clock
    ) -> None:
        self._storage = storage
        self._notify = notify
        self._clock = clock

    async def execute(
        self, content: bytes, *, caller: str, request_id: RequestId
    ) -> Published:
        """Publishes a document.

        Raises:
            PolicyInvalid: It is not a policy; the text says why.
            StorageUnavailable: The database did not answer; publish again.
        """
        document = read_document(content)
        now = self._clock.now()

        def publish(unit: PolicyUnit) -> tuple[PolicyVersion, PolicyVersion, bool]:
            number = unit.policies.newest_number()
            newest = unit.policies.version(number)
            if newest.sha256 == document.sha256:
                before = unit.policies.version(max(number - 1, 1))
                return newest, before, False
            version = PolicyVersion(
                number=number + 1, document=document, published_at=now
            )
            unit.policies.publish(version)
            unit.log.append(
                Entry(
                    type=EntryType.POLICY_PUBLISHED,
                    merchant=GATEWAY,
                    at=now,
                    caller=caller,
                    request_id=request_id,
                    subject=document.name,
                    policy_version=version.number,
                    policy_sha256=version.sha256,
                    outcome=_outcome(document, newest),
                )
            )
            return version, newest, True

        version, before, is_new = await self._storage.commit(GATEWAY, publish)
        told = await self._notify.run(caller)
        return _published(version, before, told=told, is_new=is_new)

    async def compare(self, content: bytes) -> Published:
        """Returns what publishing a document would do; does nothing.

        Raises:
            PolicyInvalid: It is not a policy; the text says why.
            StorageUnavailable: The database did not answer.
        """
        document = read_document(content)

        def read(unit: PolicyUnit) -> tuple[PolicyVersion, PolicyVersion | None]:
            number = unit.policies.newest_number()
            newest = unit.policies.version(number)
            before = unit.policies.version(number - 1) if number > 1 else None
            return newest, before

        newest, before = await self._storage.read(GATEWAY, read)
        if newest.sha256 == document.sha256:
            return _published(newest, before or newest, told=0, is_new=False)
        version = PolicyVersion(number=newest.number + 1, document=document)
        return _published(version, newest, told=0, is_new=True)


def _published(
    version: PolicyVersion, before: PolicyVersion, *, told: int, is_new: bool
) -> Published:
    now, then = version.permissions, before.permissions
    return Published(
        version=version,
        widenings=tuple(now.widenings_over(then)),
        narrowings=tuple(then.widenings_over(now)),
        told=told,
        is_new=is_new,
    )


def _outcome(document: PolicyDocument, before: PolicyVersion) -> str:
    widens = document.permissions.widenings_over(before.permissions)
    return "WIDENS" if widens else "NARROWS"
