"""Draws the state machine of payments for docs/payments.md.

Run ``python -m tests.architecture.payments_page > docs/payments.md``.
"""

from gateway.payments.payment import (
    FREES_CHARGE_ONCE_KEY,
    MOVE_TRANSITIONS,
    MoveStatus,
    PaymentState,
)
from gateway.payments.transitions import TRANSITIONS, Guard

HEAD = """\
# Payments

Made from `gateway/payments/transitions.py` and `payment.py` by
`python -m tests.architecture.payments_page`; a test compares it. Do not edit.

A payment is one attempt to take one amount from one card. Its state changes only by a
line of the table below: what is not in it cannot happen, and a call that asks for it is
answered `STATE_CONFLICT`. Each change commits together with an event
(`ListPaymentEvents`, `WatchPaymentEvents`) and an entry of the log.

What the processor says is a fact and wins, also after the gateway had given up:
success after FAILED is LATE_SUCCESS, an event of its own. What no program can explain
becomes NEEDS_ATTENTION, and a person decides.

## States

"""


def picture():
    """Returns the states and what leads from one to another, for Mermaid."""
    pairs = {}
    for row in TRANSITIONS:
        if row.state is not row.next:
            pairs.setdefault((row.state, row.next), []).append(row.event.name.lower())
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> SUBMITTED"]
    for (before, after), events in pairs.items():
        if after is PaymentState.NEEDS_ATTENTION:
            continue  # from nearly everywhere: see the table
        names = ", ".join(dict.fromkeys(events))
        lines.append(f"    {before.name} --> {after.name}: {names}")
    return [*lines, "```", ""]


def table():
    """Returns every line of the table."""
    lines = [
        "NEEDS_ATTENTION is left out of the picture. Every line there is:",
        "",
        "| state | event | when | next |",
        "|---|---|---|---|",
    ]
    for row in TRANSITIONS:
        when = "" if row.guard is Guard.ALWAYS else row.guard.value
        lines.append(
            f"| {row.state.name} | {row.event.name}: {row.event.value} | {when} "
            f"| {row.next.name} |"
        )
    return [*lines, ""]


def keys():
    """Returns which states free the charge_once_key."""
    freeing = ", ".join(state.name for state in PaymentState if _frees(state))
    return [
        "## charge_once_key",
        "",
        f"{freeing} free the key, and EXPIRED does if nothing was",
        "captured. Every other state holds it: a second payment for the same thing is",
        "answered `ALREADY_CHARGED`. Refunds do not free it.",
        "",
    ]


def _frees(state):
    return state in FREES_CHARGE_ONCE_KEY


def moves():
    """Returns how captures, cancels and refunds go."""
    lines = [
        "## Captures, cancels and refunds",
        "",
        "Each is a resource with a state of its own:",
        "",
        "| state | may become |",
        "|---|---|",
    ]
    for status in MoveStatus:
        after = MOVE_TRANSITIONS[status]
        names = ", ".join(item.name for item in MoveStatus if item in after)
        lines.append(f"| {status.name} | {names or 'nothing else'} |")
    return [*lines, ""]


def waiting():
    """Returns what happens to payments that wait."""
    return [
        "## Payments that wait",
        "",
        "The gateway asks the processor about SUBMITTED (once whoever worked on it is",
        "gone), UNKNOWN, REQUIRES_ACTION and PENDING by itself, first after seconds,",
        "then less often, at least hourly. A payment that waits for its cardholder for",
        "longer than `action_window_hours` is canceled at the processor.",
        "`ConfirmPayment` asks at once, for when the cardholder comes back; with a",
        "`return_url` it asks for a new `next_action`, too.",
    ]


def page():
    """Returns the whole page."""
    return (
        HEAD + "\n".join([*picture(), *table(), *keys(), *moves(), *waiting()]) + "\n"
    )


if __name__ == "__main__":
    print(page(), end="")
