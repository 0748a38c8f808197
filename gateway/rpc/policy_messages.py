"""Between the policy messages and the policy's own types."""

import re
from collections.abc import Sequence
from typing import Final

from bailee.v1 import merchant_service_pb2 as merchant_pb
from bailee.v1 import operator_service_pb2 as operator_pb
from bailee.v1 import policy_pb2

from gateway.errors import RequestInvalid
from gateway.policy.accept_policy import AcceptPolicyCommand
from gateway.policy.document import Consent
from gateway.policy.permissions import Widening
from gateway.policy.publish_policy import Published
from gateway.policy.read_policies import KnownPolicy
from gateway.words.identifiers import read_merchant_id, read_request_id

_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_CONSENTS: Final = {
    Consent.CONTINUED_USE: policy_pb2.Policy.CONSENT_CONTINUED_USE,
    Consent.OPT_IN: policy_pb2.Policy.CONSENT_OPT_IN,
}


def read_accept_policy(
    request: merchant_pb.AcceptPolicyRequest, *, caller: str
) -> AcceptPolicyCommand:
    """Returns what AcceptPolicy is asked to do."""
    if _SHA256.fullmatch(request.sha256) is None:
        raise RequestInvalid("sha256", "is not 64 lower-case hexadecimal digits")
    return AcceptPolicyCommand(
        merchant=read_merchant_id(request.merchant),
        caller=caller,
        request_id=read_request_id(request.request_id),
        number=request.version,
        sha256=request.sha256,
    )


def show_policy(known: KnownPolicy) -> policy_pb2.Policy:
    """Returns what a version shows."""
    version, notice = known.version, known.notice
    shown = policy_pb2.Policy(
        version=version.number,
        name=version.name,
        sha256=version.sha256,
        consent=_CONSENTS[version.consent],
        in_force=known.is_in_force,
    )
    if version.published_at is not None:
        shown.publish_time.FromDatetime(version.published_at)
    if notice is not None:
        shown.widens = notice.widens
        shown.notice_time.FromDatetime(notice.dispatched_at)
        shown.effective_time.FromDatetime(notice.effective_at)
        if notice.accepted_at is not None:
            shown.accept_time.FromDatetime(notice.accepted_at)
    return shown


def show_published(published: Published) -> operator_pb.PublishPolicyResponse:
    """Returns what publishing did or would do."""
    return operator_pb.PublishPolicyResponse(
        version=published.version.number,
        sha256=published.version.sha256,
        is_new=published.is_new,
        widenings=show_differences(published.widenings),
        narrowings=show_differences(published.narrowings),
        told=published.told,
    )


def show_differences(found: Sequence[Widening]) -> list[str]:
    """Returns each difference as a sentence without its full stop."""
    lines = []
    for permission, days, days_before in found:
        what = (
            f"{permission.verb.value} for {permission.purpose.value}, started by the "
            f"{permission.initiator.value}: {permission.element.value} for the "
            f"{permission.recipient.value}, kept {days} days"
        )
        lines.append(what if days_before is None else f"{what}, not {days_before}")
    return lines
