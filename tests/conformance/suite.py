"""Processing-only: does a product use cards for what they were given for, and show it?

A black-box suite for anything that keeps cards. A product takes part through an
``Adapter``; a check asks the product, never its source. What a product was not made for
counts as no, without blame: the sheet says what it does, not whether it is good.
"""

from dataclasses import dataclass
from typing import Protocol

# Published test numbers.
NUMBER, OTHER_NUMBER = "4242424242424242", "5555555555554444"
RECURRING, CUSTOMER = "payment.recurring", "payment.customer_initiated"
MARKETING = "marketing"


class Refused(Exception):
    """The product did not do it."""


class Adapter(Protocol):
    """One product, set up as its own documentation advises."""

    name: str
    # Everything that the product answered to callers, in clear.
    answers: list[bytes]

    def store(self, number: str, purposes: set[str]) -> str:
        """Stores a card for these purposes and returns what stands for it.

        Raises:
            Refused: Not for these purposes.
        """

    def use(self, token: str, purpose: str) -> None:
        """Has the card charged, in the way in which the product is meant to be used.

        Raises:
            Refused: Not this card, not for this purpose.
        """

    def use_as_another_tenant(self, token: str) -> None:
        """The same, by a caller of another tenant. Raises as use."""

    def reveal(self, token: str) -> None:
        """Asks for the card number in the way that the product documents.

        The caller has every right that the product can give it.

        Raises:
            Refused: There is no such way, or it was refused.
        """

    def erase(self, token: str) -> None:
        """Erases the card for good."""

    def record(self) -> bytes:
        """Returns the product's record of uses, as it keeps it."""

    def verify(self, *, tampered: bool) -> bool:
        """Checks the record with public material and the product's own tool.

        Args:
            tampered: Of a copy in which one byte of an entry was changed.

        Raises:
            Refused: The product has no such tool.
        """


def gives_a_token(product):
    token = product.store(NUMBER, {RECURRING})
    return NUMBER not in token


def answers_no_card_number(product):
    token = product.store(NUMBER, {RECURRING})
    product.answers.clear()
    product.use(token, RECURRING)
    return not any(NUMBER.encode() in answer for answer in product.answers)


def has_no_reveal_path(product):
    token = product.store(NUMBER, {RECURRING})
    product.answers.clear()
    return _is_refused(product.reveal, token) or not any(
        NUMBER.encode() in answer for answer in product.answers
    )


def refuses_a_purpose_that_was_not_granted(product):
    token = product.store(NUMBER, {RECURRING})
    product.use(token, RECURRING)
    return _is_refused(product.use, token, CUSTOMER)


def refuses_marketing_for_everybody(product):
    return _is_refused(product.store, NUMBER, {MARKETING})


def refuses_other_tenants(product):
    token = product.store(NUMBER, {RECURRING})
    return _is_refused(product.use_as_another_tenant, token)


def records_each_use(product):
    token = product.store(NUMBER, {RECURRING})
    before = len(product.record())
    product.use(token, RECURRING)
    return len(product.record()) > before


def records_the_purpose(product):
    token = product.store(NUMBER, {RECURRING})
    product.use(token, RECURRING)
    return b"recurring" in product.record()


def records_no_card_number(product):
    token = product.store(NUMBER, {RECURRING})
    product.use(token, RECURRING)
    return NUMBER.encode() not in product.record()


def lets_strangers_verify_the_record(product):
    token = product.store(NUMBER, {RECURRING})
    product.use(token, RECURRING)
    try:
        return product.verify(tampered=False)
    except Refused:
        return False


def shows_tampering_with_the_record(product):
    token = product.store(NUMBER, {RECURRING})
    product.use(token, RECURRING)
    try:
        return product.verify(tampered=False) and not product.verify(tampered=True)
    except Refused:
        return False


def erases_one_card_for_good(product):
    gone = product.store(NUMBER, {RECURRING})
    kept = product.store(OTHER_NUMBER, {RECURRING})
    product.erase(gone)
    product.use(kept, RECURRING)
    return _is_refused(product.use, gone, RECURRING)


QUESTIONS = {
    gives_a_token: "Is what stands for the card not the card?",
    answers_no_card_number: "Can a card be charged without its number in any answer?",
    has_no_reveal_path: "Is there no way to get the number back?",
    refuses_a_purpose_that_was_not_granted: "Is another purpose than granted refused?",
    refuses_marketing_for_everybody: "Can nobody be granted marketing?",
    refuses_other_tenants: "Is another tenant refused?",
    records_each_use: "Is each use recorded?",
    records_the_purpose: "Does the record tell the purpose?",
    records_no_card_number: "Is the record free of card numbers?",
    lets_strangers_verify_the_record: "Can a stranger verify the record?",
    shows_tampering_with_the_record: "Does it show when the record was changed?",
    erases_one_card_for_good: "Is one card erased for good, and the others not?",
}


@dataclass
class Score:
    """What came of one product."""

    name: str
    passed: dict[str, bool]

    @property
    def points(self):
        return sum(self.passed.values())


def run(product):
    """Asks every question and returns the answers."""
    passed = {ask.__name__: bool(ask(product)) for ask in QUESTIONS}
    return Score(product.name, passed)


def show(scores):
    """Returns the score sheet as text."""
    width = max(len(question) for question in QUESTIONS.values())
    head = "  ".join(f"{score.name:>8}" for score in scores)
    lines = [f"{'Processing-only':{width}}  {head}"]
    for ask, question in QUESTIONS.items():
        marks = (
            f"{'yes' if score.passed[ask.__name__] else 'no':>8}" for score in scores
        )
        lines.append(f"{question:{width}}  {'  '.join(marks)}")
    points = "  ".join(f"{score.points}/{len(QUESTIONS)}".rjust(8) for score in scores)
    return "\n".join([*lines, f"{'':{width}}  {points}"])


def _is_refused(call, *arguments):
    try:
        call(*arguments)
    except Refused:
        return True
    return False
