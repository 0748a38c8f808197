"""The report as one HTML file: no script, nothing from anywhere else.

Invariants:
  * Every value of the log is escaped: a log may hold what somebody wanted a browser to
    run, and the page allows no script in the first place.
  * What a plot shows, a table says, too.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from html import escape
from typing import Final

from gateway.cli.reconcile import Period
from gateway.cli.report_facts import LoggedEntry, MonthFacts
from gateway.payments.reconcile import Line, Match

_COLOURS: Final = ("#2c6e9b", "#d98032", "#5b8c5a", "#8a5a9e", "#b9484e", "#6b7280")
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 760, 200, 44, 24
_LINES_SHOWN: Final = 200
# ISO 4217: how many decimals an amount has, where it is not two.
_NO_DECIMALS: Final = frozenset(
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF".split()
)
_THREE: Final = frozenset("BHD IQD JOD KWD LYD OMR TND".split())
_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2330; background: #fff;
       max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.15rem; margin-top: 2.2rem;
       border-bottom: 1px solid #d5dae2; padding-bottom: .2rem; }
p.sub { color: #566073; margin-top: .2rem; }
table { border-collapse: collapse; width: 100%; margin: .6rem 0; font-size: .93rem; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #e6e9ef;
         vertical-align: top; overflow-wrap: anywhere; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums;
             white-space: nowrap; }
pre { background: #f4f6f9; padding: .8rem; font-size: .85rem;
      white-space: pre-wrap; overflow-wrap: anywhere; }
code { font-size: .88em; overflow-wrap: anywhere; } figure { margin: 1rem 0; }
figcaption { color: #566073; font-size: .88rem; }
.good { color: #2f6b3a; } .bad { color: #a3262c; font-weight: 600; }
svg text { font: 11px system-ui, sans-serif; fill: #566073; }
.key span { display: inline-block; margin-right: 1.2rem; font-size: .88rem; }
.key i { display: inline-block; width: .8em; height: .8em; margin-right: .4em; }
@media print { body { max-width: none; } h2 { break-after: avoid; } }
"""


@dataclass(frozen=True, slots=True)
class Proof:
    """What lets anybody check the report's log."""

    origin: str
    verifier_key: str
    size: int
    root: str
    checkpoint: str


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that the page shows. ``lines`` is None when nobody was asked."""

    merchant: str
    period: Period
    facts: MonthFacts
    proof: Proof
    lines: Sequence[Line] | None


def show_report(report: Report) -> str:
    """Returns the page."""
    title = f"Card use of {report.merchant}, {report.period.start:%B %Y}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="sub">Log {escape(report.proof.origin)}, '
        f"{len(report.facts.entries)} entries in this month (UTC), "
        f"{report.proof.size} in all.</p>",
        _summary(report),
        _uses(report),
        _denials(report),
        _policy(report.facts),
        _events(report.facts),
        _reconciliation(report.lines),
        _verification(report.proof),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _summary(report: Report) -> str:
    facts = report.facts
    uses, denied = facts.uses.total(), facts.denials.total()
    opened = facts.cards_opened.total()
    rows = [
        ("Uses of a stored card that were allowed", str(uses)),
        ("… of these, the card number itself was opened", str(opened)),
        ("Uses that were denied", str(denied)),
        ("Cards erased", str(facts.entries_by_type["card.erased"])),
        ("Reads of this log by the operator", str(facts.entries_by_type["log.read"])),
    ]
    return _table(("What happened", ""), rows, numbers={1})


def _uses(report: Report) -> str:
    facts = report.facts
    collected: dict[str, list[str]] = {}
    for (purpose, currency), units in sorted(facts.collected.items()):
        collected.setdefault(purpose, []).append(show_amount(units, currency))
    rows = [
        (purpose, action, str(number), ", ".join(collected.get(purpose, [])))
        for (purpose, action), number in sorted(facts.uses.items())
    ]
    callers = [
        (caller, purpose, str(number))
        for (caller, purpose), number in sorted(facts.uses_by_caller.items())
    ]
    return (
        "<h2>Who used cards, and for which purpose</h2>"
        + _plot(report.period, facts.uses_by_day, "Allowed uses, by day and purpose")
        + _table(("Purpose", "Action", "Uses", "Collected"), rows, numbers={2, 3})
        + _table(("Caller", "Purpose", "Uses"), callers, numbers={2})
    )


def _denials(report: Report) -> str:
    facts = report.facts
    rows = [
        (caller, rule, "" if purpose == "None" else purpose, str(number))
        for (caller, rule, purpose), number in sorted(facts.denials.items())
    ]
    return (
        "<h2>What was denied</h2>"
        + _plot(report.period, {"denied": facts.denials_by_day}, "Denials, by day")
        + _table(("Caller", "Rule", "Purpose", "Denials"), rows, numbers={3})
    )


def _policy(facts: MonthFacts) -> str:
    rows = [
        (str(number), f"{sha256}") for number, sha256 in sorted(facts.policies.items())
    ]
    return "<h2>Policy in force</h2>" + _table(("Version", "SHA-256 of its text"), rows)


def _events(facts: MonthFacts) -> str:
    return "<h2>Policies, keys, callers, erasures, reads</h2>" + _table(
        ("Time (UTC)", "Event", "By", "About"),
        [_event(entry) for entry in facts.events[:_LINES_SHOWN]],
        more=len(facts.events) - _LINES_SHOWN,
    )


def _event(entry: LoggedEntry) -> tuple[str, str, str, str]:
    facts = entry.facts
    about = [
        f"{label} {facts[name]}"
        for name, label in (
            ("subject", ""),
            ("purpose", ""),
            ("policy_version", "policy"),
            ("effective", "from"),
            ("outcome", ""),
        )
        if name in facts
    ]
    shown = f"{facts['type']} (entry {entry.index})"
    return f"{entry.at:%d %H:%M}", shown, facts["caller"], " ".join(about).strip()


def _reconciliation(lines: Sequence[Line] | None) -> str:
    heading = "<h2>Beside the processor's own list</h2>"
    if lines is None:
        return f"{heading}<p>The processor was not asked for this report.</p>"
    counts = Counter(line.match for line in lines)
    rows = [(str(match), str(counts[match])) for match in Match]
    alarms = [line for line in lines if line.is_alarm]
    verdict = (
        f'<p class="bad">{len(alarms)} of them need a person.</p>'
        if alarms
        else '<p class="good">Nothing is only on one side, and nothing differs.</p>'
    )
    listed = [
        (
            str(line.match),
            line.payment or line.processor_object,
            show_amount(line.amount.minor_units, line.amount.currency),
            line.text,
        )
        for line in alarms[:_LINES_SHOWN]
    ]
    return (
        heading
        + _table(("Class", "Payments"), rows, numbers={1})
        + verdict
        + (
            _table(
                ("Class", "Payment", "Amount", "Finding"),
                listed,
                numbers={2},
                more=len(alarms) - _LINES_SHOWN,
            )
            if alarms
            else ""
        )
    )


def _verification(proof: Proof) -> str:
    commands = (
        "# the export that this report was made from, and the key you were given\n"
        f"bailee-audit verify EXPORT --key '{proof.verifier_key}'\n"
        "# it must say\n"
        f"ok: {proof.size} entries of {proof.origin}\n"
        f"    root {proof.root}"
    )
    return (
        "<h2>How to check it</h2><p>This page is a summary; the log is the evidence. "
        "<code>entries.csv</code> beside it lists every entry of the month with its "
        "place and hash. Check the log with the public key that you were given when "
        "you signed up, not with the one printed here.</p>"
        f"<pre>{escape(commands)}</pre><p>The signed checkpoint:</p>"
        f"<pre>{escape(proof.checkpoint)}</pre>"
    )


def _table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: frozenset[int] | set[int] = frozenset(),
    more: int = 0,
) -> str:
    """Returns a table; what is in ``numbers`` is set to the right."""
    if not rows:
        return "<p>None.</p>"

    def cells(row: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag}{' class=n' if place in numbers else ''}>{escape(text)}</{tag}>"
            for place, text in enumerate(row)
        )

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    rest = f"<p>… and {more} more, in entries.csv.</p>" if more > 0 else ""
    return f"<table><tr>{cells(head, 'th')}</tr>{body}</table>{rest}"


def _plot(period: Period, series: Mapping[str, Counter[date]], caption: str) -> str:
    """Returns stacked bars, one for each day of the month."""
    days = [
        period.start.date() + timedelta(days=number)
        for number in range((period.end - period.start).days)
    ]
    names = sorted(series)
    highest = max((sum(series[name][day] for name in names) for day in days), default=0)
    if not highest:
        return ""
    step = (_WIDTH - _LEFT) / len(days)
    scale = (_HEIGHT - _BOTTOM - 12) / highest
    parts = list(_axes(days, highest, step, scale))
    for place, day in enumerate(days):
        top = float(_HEIGHT - _BOTTOM)
        for name, colour in zip(names, _COLOURS * 3, strict=False):
            height = series[name][day] * scale
            top -= height
            if height:
                parts.append(
                    f'<rect x="{_LEFT + place * step + 2:.1f}" y="{top:.1f}" '
                    f'width="{step - 4:.1f}" height="{height:.1f}" fill="{colour}">'
                    f"<title>{day:%d %b}: {series[name][day]} {escape(name)}</title>"
                    "</rect>"
                )
    key = "".join(
        f'<span><i style="background:{colour}"></i>{escape(name)}</span>'
        for name, colour in zip(names, _COLOURS * 3, strict=False)
    )
    return (
        f'<figure><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(caption)}">{"".join(parts)}</svg>'
        f'<div class="key">{key}</div>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _axes(
    days: Sequence[date], highest: int, step: float, scale: float
) -> Iterable[str]:
    base = _HEIGHT - _BOTTOM
    for value in sorted({0, highest // 2, highest}):
        y = base - value * scale
        yield f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}" '
        yield 'stroke="#e0e4ea"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value}</text>'
    for place, day in enumerate(days):
        if day.day == 1 or day.day % 5 == 0:
            x = _LEFT + (place + 0.5) * step
            yield f'<text x="{x:.1f}" y="{base + 16}" text-anchor="middle">'
            yield f"{day.day}</text>"


def show_amount(minor_units: int, currency: str) -> str:
    """Returns an amount as people write it, with the currency's decimals."""
    decimals = 0 if currency in _NO_DECIMALS else 3 if currency in _THREE else 2
    whole, part = divmod(minor_units, 10**decimals)
    fraction = f".{part:0{decimals}d}" if decimals else ""
    return f"{whole:,}{fraction} {currency}"
