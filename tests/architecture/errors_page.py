"""Makes docs/errors.md.

Run ``python -m tests.architecture.errors_page > docs/errors.md``.
"""

import inspect

import grpc

from gateway.errors import FieldError, GatewayError, InvariantBroken, Reason
from gateway.rpc.status import CODES

HEAD = """\
# Errors

Made from `gateway/errors.py` and `gateway/rpc/status.py` by
`python -m tests.architecture.errors_page`; a test compares it. Do not edit.

Every failed call carries a `google.rpc.Status` with an `ErrorInfo`: its `domain` is
`bailee`, its `reason` one of the reasons below, which never change their meaning. A
wrong field adds a `BadRequest` that names the field, never its value. `RetryInfo` says
when to try again, where that helps. An outcome of a payment (a decline, an unknown
result) is not an error but a state of the payment.

Three failures come from the transport and carry no reason: `UNAVAILABLE` when nobody
answers or a certificate is refused (`bailee doctor` tells which), `RESOURCE_EXHAUSTED`
when a message is over 2 MiB or too many calls are open, `DEADLINE_EXCEEDED` when the
caller's own deadline passed. After the first and the last, send the same request with
the same `request_id` to learn what became of it.

| reason | gRPC code | try again? | when |
|---|---|---|---|
"""

TRY_AGAIN = {
    grpc.StatusCode.UNAVAILABLE: "yes, the same request",
    grpc.StatusCode.ABORTED: "yes, after RetryInfo",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "later",
}
EXCEPTIONS = {
    Reason.SEALED_CARD_REJECTED: "with a freshly sealed card",
    Reason.INTEGRITY_VIOLATION: "never; call the operator",
    Reason.INTERNAL: "no; give the operator the incident number",
}


def error_classes():
    """Returns the error class of each reason."""
    found = {}
    waiting = [GatewayError]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind not in (GatewayError, FieldError, InvariantBroken):
            found.setdefault(kind.reason, []).append(kind)
    found[Reason.INTERNAL] = [GatewayError]
    return found


def page():
    """Returns the whole page."""
    classes = error_classes()
    return HEAD + "".join(_row(reason, classes[reason][0]) for reason in Reason)


def _row(reason, kind):
    code = CODES[reason]
    again = EXCEPTIONS.get(reason) or TRY_AGAIN.get(code, "no")
    meaning = " ".join(inspect.getdoc(kind).split("\n\n")[0].split())
    if reason is Reason.INTERNAL:
        meaning = "Nobody foresaw it; the log knows more under the incident number."
    return f"| `{reason.value}` | `{code.name}` | {again} | {meaning} |\n"


if __name__ == "__main__":
    print(page(), end="")
