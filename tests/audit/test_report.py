"""The monthly report: right numbers, no markup of strangers, proof beside it."""

import asyncio
import csv
import re
from datetime import UTC, datetime

import pytest
from bailee.audit.cli import OK, main

from gateway.cli.audit import AuditFailed
from gateway.cli.demo_year import Year, make_home
from gateway.cli.reconcile import Period
from gateway.cli.report import _cell, write_report_at
from gateway.cli.report_facts import LoggedEntry, count_month
from gateway.cli.report_page import Proof, Report, show_amount, show_report
from gateway.config import Settings

JANUARY = Period.month("2025-01")
HOSTILE = '<script>alert("x")</script>'


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A gateway that worked through January."""
    folder = tmp_path_factory.mktemp("year")
    make_home(folder)

    async def live():
        year = Year(folder)
        await year.sign_up()
        await year.month(1)
        await year.leave(3)
        await year.close()

    asyncio.run(live())
    return folder / "gateway"


@pytest.fixture(scope="module")
def written(home, tmp_path_factory):
    target = tmp_path_factory.mktemp("reports") / "january"
    write_report_at(Settings.read(home), "shop", JANUARY, target, ask_processor=True)
    return target


def cells(page, label):
    """Returns what stands beside a label."""
    row = re.search(rf"<td>{re.escape(label)}</td>(.*?)</tr>", page).group(1)
    return re.findall(r"<td[^>]*>(.*?)</td>", row)


class TestReport:
    def test_counts_the_month(self, written):
        page = (written / "report.html").read_text()

        assert cells(page, "Uses of a stored card that were allowed") == ["40"]
        assert cells(page, "Cards erased") == ["1"]
        assert cells(page, "payment.recurring") == ["charge", "40", "779.61 EUR"]
        # One customer's card declines: the processor lists it, nothing was collected.
        assert cells(page, "matched") == ["40"]
        assert "Nothing is only on one side" in page

    def test_needs_nothing_from_anywhere(self, written):
        page = (written / "report.html").read_text()

        assert "default-src 'none'" in page
        assert not re.search(r"(?:src|href)=|url\(|<script|@import", page)

    def test_lists_every_entry_of_the_month(self, written):
        with (written / "entries.csv").open() as stream:
            rows = list(csv.DictReader(stream))

        assert [int(row["index"]) for row in rows] == list(range(len(rows)))
        assert sum(row["type"] == "use.intent" for row in rows) == 40
        assert all(len(row["leaf_hash"]) == 64 for row in rows)

    def test_brings_the_export_that_it_was_made_from(self, written):
        page = (written / "report.html").read_text()
        key = written / "export" / "verifier-key.txt"

        assert main(["verify", str(written / "export"), "--key", str(key)]) == OK
        assert key.read_text().strip() in page

    def test_overwrites_nothing(self, home, written):
        with pytest.raises(AuditFailed, match="exists"):
            write_report_at(
                Settings.read(home), "shop", JANUARY, written, ask_processor=False
            )

    def test_of_an_empty_month_says_so(self, home, tmp_path):
        target = tmp_path / "march"
        period = Period.month("2025-03")
        write_report_at(
            Settings.read(home), "shop", period, target, ask_processor=False
        )

        page = (target / "report.html").read_text()
        assert "The processor was not asked" in page
        assert cells(page, "Uses that were denied") == ["0"]


class TestPage:
    def page(self, **facts):
        at = datetime(2025, 1, 5, tzinfo=UTC)
        facts = {"time": "2025-01-05T00:00:00.000Z", "caller": HOSTILE} | facts
        month = count_month([LoggedEntry(0, at, "00", facts)])
        proof = Proof(HOSTILE, HOSTILE, 1, "00", HOSTILE)
        return show_report(
            Report(
                merchant=HOSTILE,
                period=JANUARY,
                facts=month,
                proof=proof,
                lines=None,
            )
        )

    @pytest.mark.parametrize(
        "facts",
        [
            {"type": "use.intent", "purpose": HOSTILE, "action": HOSTILE},
            {"type": "use.denied", "rule": HOSTILE},
            {"type": "policy.notice", "subject": HOSTILE, "outcome": HOSTILE},
        ],
    )
    def test_shows_markup_of_a_log_as_text(self, facts):
        page = self.page(**facts)

        assert "<script" not in page
        assert "&lt;script&gt;" in page

    def test_counts_folded_denials(self):
        page = self.page(type="use.denied", rule="purpose", count=17)

        assert cells(page, "Uses that were denied") == ["17"]

    @pytest.mark.parametrize(
        ("minor_units", "currency", "shown"),
        [
            (1999, "EUR", "19.99 EUR"),
            (5, "EUR", "0.05 EUR"),
            (1999, "JPY", "1,999 JPY"),
            (123456, "KWD", "123.456 KWD"),
        ],
    )
    def test_shows_amounts_as_people_write_them(self, minor_units, currency, shown):
        assert show_amount(minor_units, currency) == shown


class TestCsv:
    def test_never_holds_a_formula(self):
        for text in ("=cmd|x", "+1", "-1", "@SUM(A1)", "\t=1"):
            assert _cell(text) == f"'{text}"
        assert _cell("spiffe://x") == "spiffe://x"


class TestPeriod:
    @pytest.mark.parametrize("text", ["2025", "2025-13", "25-1-1", "", "2025-01-01"])
    def test_refuses_what_is_no_month(self, text):
        with pytest.raises(AuditFailed, match="not a month"):
            Period.month(text)

    def test_ends_where_the_next_one_starts(self):
        assert Period.month("2024-12").end == Period.month("2025-01").start
        assert (Period.month("2024-02").end - Period.month("2024-02").start).days == 29
