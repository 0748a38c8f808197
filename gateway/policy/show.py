"""Prints the decision table into docs/policy.md.

``python -m gateway.policy.show docs/policy.md`` rewrites the part between the markers.
Every row is computed by asking ``decide``; no rule is written twice.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, product
from pathlib import Path
from typing import Final

from gateway.policy.decide import Decision, decide
from gateway.words.lifecycles import CardState, MerchantState
from gateway.words.purposes import Purpose, Verb

BEGIN: Final = "<!-- table: begin -->"
END: Final = "<!-- table: end -->"
ANY: Final = "any"
_YES_NO: Final[Mapping[str, bool]] = {"yes": True, "no": False}
_MERCHANTS: Final = tuple(state.value for state in MerchantState)
_CARDS: Final = tuple(state.value for state in CardState)
# The words of each condition, in the order of the columns.
CONDITIONS: Final = (_CARDS, _MERCHANTS, tuple(_YES_NO), tuple(_YES_NO))
_HEADER: Final = (
    "| use | purpose | card | merchant | in policy | granted | decision | rule |\n"
    "|---|---|---|---|---|---|---|---|\n"
)

Facts = tuple[str, ...]


def table() -> str:
    """Returns the whole table as Markdown. Exactly one row fits each combination."""
    return _HEADER + "".join(row for verb in Verb for row in _rows(verb))


def rewrite(file: Path) -> None:
    """Puts the table between the markers of the file."""
    text = file.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    file.write_text(f"{before}{BEGIN}\n\n{table()}\n{END}{after}", "utf-8")


def ask(verb: Verb, purpose: Purpose, facts: Facts) -> Decision:
    """Returns the decision for the words of one combination."""
    card, merchant, in_policy, granted = facts
    return decide(
        verb=verb,
        purpose=purpose,
        granted=_YES_NO[granted],
        in_policy=_YES_NO[in_policy],
        merchant=MerchantState(merchant),
        card=CardState(card),
    )


def _rows(verb: Verb) -> Iterator[str]:
    """Yields the rows of one verb; purposes that fare alike share rows."""

    def fares(purpose: Purpose) -> list[tuple[bool, str]]:
        answers = (ask(verb, purpose, facts) for facts in product(*CONDITIONS))
        return [(answer.allowed, answer.rule) for answer in answers]

    # Sorting is stable: within a group, purposes keep the order of the closed list.
    alike = sorted(Purpose, key=lambda purpose: _best(verb, purpose))
    for _, group in groupby(alike, key=fares):
        purposes = list(group)
        names = ", ".join(f"`{purpose.value}`" for purpose in purposes)
        for facts, answer in _conditions(verb, purposes[0], ()):
            word = "**allowed**" if answer.allowed else "denied"
            cells = (verb.value, names, *facts, word, f"`{answer.rule}`")
            yield f"| {' | '.join(cells)} |\n"


def _best(verb: Verb, purpose: Purpose) -> tuple[bool, str]:
    """Returns what orders the groups: purposes that can be allowed come first."""
    best = ask(verb, purpose, ("active", "active", "yes", "yes"))
    return not best.allowed, best.rule


def _conditions(
    verb: Verb, purpose: Purpose, known: Facts
) -> Iterator[tuple[Facts, Decision]]:
    """Yields the conditions that decide; one that cannot matter any more is "any"."""
    answers = _answers(verb, purpose, known)
    if len(set(answers)) == 1:
        yield _padded(known), answers[0]
        return
    place = len(known)
    for word in CONDITIONS[place]:
        yield from _conditions(verb, purpose, (*known, word))


def _answers(verb: Verb, purpose: Purpose, known: Facts) -> Sequence[Decision]:
    unknown = product(*CONDITIONS[len(known) :])
    return [ask(verb, purpose, (*known, *rest)) for rest in unknown]


def _padded(known: Facts) -> Facts:
    return known + (ANY,) * (len(CONDITIONS) - len(known))


if __name__ == "__main__":
    rewrite(Path(sys.argv[1]))
