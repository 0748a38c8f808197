"""Prints docs/errors.md: ``python -m gateway.rpc.show_errors > docs/errors.md``."""

from gateway import errors
from gateway.rpc.status import CODES

_HEAD = """# Errors

Every error is a `google.rpc.Status` with `ErrorInfo`: `domain` is `bailee` and `reason` is one of these. A wrong field
adds `BadRequest` with the field's path, a delay adds `RetryInfo`. The offending value is never repeated. A decline is
no error: it is a payment in state DECLINED. Made by `python -m gateway.rpc.show_errors`.

| reason | gRPC code | message | meaning |
|---|---|---|---|
"""


def show() -> str:
    """Returns the page."""
    lines = []
    classes = {
        found.reason: found
        for found in vars(errors).values()
        if isinstance(found, type) and issubclass(found, errors.GatewayError)
    }
    for reason, code in CODES.items():
        error = classes[reason]
        if error in (errors.FieldError, errors.InvariantBroken):
            error = errors.GatewayError
        meaning = " ".join((error.__doc__ or "").split("\n\n")[0].split())
        if reason is errors.Reason.INTERNAL:
            meaning = "Nobody named it; the message holds an incident number."
        lines.append(f"| `{reason}` | `{code.name}` | {error.message} | {meaning} |\n")
    return _HEAD + "".join(lines)


if __name__ == "__main__":
    print(show(), end="")  # noqa: T201 - its purpose
