"""The processing-only score sheet, of real servers; ``pytest -s`` prints it.

What OpenBao passes and does not pass is pinned, too: the sheet must stay fair.
"""

import pytest

from tests.conformance.bailee_product import bailee
from tests.conformance.openbao_product import openbao
from tests.conformance.suite import QUESTIONS, run, show

pytestmark = pytest.mark.process

# A secrets manager gives secrets to those who may have them, and its audit log is for
# its operator.
NOT_OPENBAOS_JOB = {
    "answers_no_card_number",
    "has_no_reveal_path",
    "refuses_marketing_for_everybody",
    "lets_strangers_verify_the_record",
    "shows_tampering_with_the_record",
}


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    made = []
    for product in (bailee, openbao):
        with product(tmp_path_factory.mktemp(product.__name__)) as served:
            made.append(run(served))
    print("\n\n" + show(made) + "\n")
    return {score.name: score for score in made}


def test_bailee_is_for_processing_only(scores):
    assert [name for name, yes in scores["Bailee"].passed.items() if not yes] == []


def test_openbao_passes_what_it_is_made_for(scores):
    failed = {name for name, yes in scores["OpenBao"].passed.items() if not yes}

    assert failed == NOT_OPENBAOS_JOB


def test_sheet_shows_every_question(scores):
    sheet = show(list(scores.values()))

    assert all(question in sheet for question in QUESTIONS.values())
    assert f"12/{len(QUESTIONS)}" in sheet
