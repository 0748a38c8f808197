"""Documents name files that exist; decisions are complete."""

import re
from pathlib import Path

import pytest

from tests.architecture import payments_page, roles_page

ROOT = Path(__file__).parents[2]
PATHS = re.compile(r"`((?:gateway|tests|clients|proto|docs)/[\w./-]+)`")


@pytest.mark.parametrize(
    "name",
    [
        "architecture.md",
        "threat-model.md",
        "keys.md",
        "evidence.md",
        "compliance.md",
    ],
)
def test_every_named_file_exists(name):
    text = (ROOT / "docs" / name).read_text("utf-8")

    missing = [path for path in PATHS.findall(text) if not (ROOT / path).exists()]

    assert missing == []


def test_readme_links_lead_somewhere():
    text = (ROOT / "README.md").read_text("utf-8")

    links = re.findall(r"\]\(([^)#]+)\)", text)

    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_table_of_roles_is_the_one_in_force():
    text = (ROOT / "docs/roles.md").read_text("utf-8")

    assert text == roles_page.page(), (
        "run: .venv/bin/python -m tests.architecture.roles_page > docs/roles.md"
    )


def test_the_page_of_payments_shows_the_table_in_the_code():
    text = (ROOT / "docs/payments.md").read_text("utf-8")

    assert text == payments_page.page(), (
        "run: .venv/bin/python -m tests.architecture.payments_page > docs/payments.md"
    )


class TestDecisions:
    FILES = sorted((ROOT / "docs/adr").glob("0*.md"))

    def test_are_numbered_without_gaps(self):
        numbers = [int(file.name[:4]) for file in self.FILES]

        assert numbers == list(range(1, len(numbers) + 1))

    def test_are_all_in_the_index(self):
        index = (ROOT / "docs/adr/README.md").read_text("utf-8")

        assert all(f"({file.name})" in index for file in self.FILES)

    @pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
    def test_have_a_status_and_a_date(self, file):
        assert re.search(r"^Status: \w+ · \d{4}-\d\d-\d\d$", file.read_text(), re.M)
