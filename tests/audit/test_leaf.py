"""Leaves: canonical bytes, and nothing that a verifier would refuse. covers: I7."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.audit.entry import Decision, Entry, EntryType, PreviousLog
from gateway.audit.leaf import encode_leaf, salted_hash, show_time
from gateway.audit.leaf_grammar import FORMS, REQUIRED, find_fault, is_leaf_of
from gateway.words.money import MINOR_UNITS_MAX, Money
from gateway.words.purposes import Purpose
from tests.builders.logs import BUILD, a_full_entry, a_fullest_entry, a_leaf

# RFC 8785 is about valid Unicode: a lone surrogate is not text.
texts = st.text(st.characters(exclude_categories=["Cs"]))
hexadecimal = st.text("0123456789abcdef", min_size=64, max_size=64)
maybe = st.none().__or__


def a_time():
    zones = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))])
    earliest, latest = datetime(1, 1, 2), datetime(9999, 12, 30)  # noqa: DTZ001
    return st.datetimes(earliest, latest, timezones=zones)


entries = st.builds(
    Entry,
    type=st.sampled_from(EntryType),
    merchant=st.from_regex(r"[a-z][a-z0-9-]{1,38}[a-z0-9]", fullmatch=True),
    at=a_time(),
    caller=texts,
    request_id=maybe(st.uuids(version=4).map(str)),
    action=maybe(texts),
    purpose=maybe(st.sampled_from(Purpose)),
    policy_version=maybe(st.integers(0, 10**15 - 1)),
    policy_sha256=maybe(hexadecimal),
    decision=maybe(st.sampled_from(Decision)),
    rule=maybe(texts),
    payment=maybe(texts),
    processor_account=maybe(texts),
    environment=maybe(st.sampled_from(["test", "live"])),
    amount=maybe(st.builds(Money, st.integers(0, MINOR_UNITS_MAX), st.just("EUR"))),
    card_opened=maybe(st.booleans()),
    outcome=maybe(texts),
    card=maybe(texts),
    card_salt=st.binary(min_size=16, max_size=16),
    processor_object=maybe(texts),
    object_salt=st.binary(min_size=16, max_size=16),
    previous=maybe(
        st.builds(
            PreviousLog,
            texts,
            st.integers(0, 10**15 - 1),
            st.binary(min_size=32, max_size=32),
            st.integers(0, 10**15 - 1),
        )
    ),
    subject=maybe(texts),
    count=maybe(st.integers(0, 10**15 - 1)),
    effective_at=maybe(a_time()),
)


def time_of(moment):
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:23] + "Z"


def facts_of(entry, build):
    """The fields of a leaf, written the plain way."""
    facts = {
        "v": 1,
        "type": entry.type.value,
        "time": time_of(entry.at),
        "merchant": entry.merchant,
        "caller": entry.caller,
        "request_id": entry.request_id,
        "action": entry.action,
        "purpose": entry.purpose and entry.purpose.value,
        "policy_version": entry.policy_version,
        "policy_sha256": entry.policy_sha256,
        "decision": entry.decision and entry.decision.value,
        "rule": entry.rule,
        "payment": entry.payment,
        "processor_account": entry.processor_account,
        "environment": entry.environment,
        "amount": entry.amount and entry.amount.minor_units,
        "currency": entry.amount and entry.amount.currency,
        "card_opened": entry.card_opened,
        "outcome": entry.outcome,
        "build": build,
        "previous_origin": entry.previous and entry.previous.origin,
        "previous_root": entry.previous and entry.previous.root.hex(),
        "previous_size": entry.previous and entry.previous.size,
        "restored_size": entry.previous and entry.previous.restored_size,
        "subject": entry.subject,
        "count": entry.count,
        "effective": entry.effective_at and time_of(entry.effective_at),
    }
    if entry.card is not None:
        salted = entry.card_salt + entry.card.encode()
        facts["card"] = hashlib.sha256(salted).hexdigest()
    if entry.processor_object is not None:
        salted = entry.object_salt + entry.processor_object.encode()
        facts["object"] = hashlib.sha256(salted).hexdigest()
    return {name: value for name, value in facts.items() if value is not None}


class TestEncodeLeaf:
    @given(entries, texts)
    @example(a_full_entry(rule="".join(map(chr, range(128)))), "\u00e9\u2028\U0001f600")
    def test_writes_what_the_rfc8785_package_writes(self, entry, build):
        leaf = encode_leaf(entry, build=build)

        assert leaf == rfc8785.dumps(facts_of(entry, build))
        assert is_leaf_of(leaf, entry.merchant.encode())

    def test_shows_every_field_of_a_full_entry(self):
        leaf = encode_leaf(a_fullest_entry(), build=BUILD)

        assert json.loads(leaf).keys() == set(FORMS)

    def test_leaves_out_what_is_absent(self):
        entry = Entry(
            type=EntryType.LOG_STARTED,
            merchant="shop",
            at=datetime(2026, 11, 25, tzinfo=UTC),
            caller="x",
        )

        assert json.loads(encode_leaf(entry, build=BUILD)).keys() == REQUIRED

    @pytest.mark.parametrize("field", ["card", "processor_object"])
    def test_hides_names_behind_a_salt(self, field):
        """Without the salt, an entry no longer links to its card."""
        named = a_full_entry(**{field: "card_name"})
        leaf = encode_leaf(named, build=BUILD)
        other = replace(named, card_salt=bytes(16), object_salt=bytes(16))

        assert b"card_name" not in leaf
        assert leaf != encode_leaf(other, build=BUILD)

    @pytest.mark.parametrize(
        "changes",
        [
            {"card_salt": None},
            {"object_salt": None},
            {"at": datetime(2026, 11, 25)},  # noqa: DTZ001 - the point of it
            {"policy_version": 2**53},
            {"policy_version": 2**53 - 1 + 10**16},
            {"policy_version": -1},
            {"count": -1},
            {"count": 10**15},
            {"effective_at": datetime(2026, 11, 25)},  # noqa: DTZ001 - the point of it
            {"policy_sha256": "AB" * 32},
            {"policy_sha256": "ab"},
            {"merchant": "Shop"},
            {"merchant": 'shop","v":1}'},
            {"request_id": "6F2C1D4E-8A3B-4C5D-9E7F-0A1B2C3D4E5F"},
            {"environment": "sandbox"},
            {"rule": "\ud800"},
            {"rule": "x" * 65_536},
        ],
    )
    def test_refuses_what_a_verifier_would(self, changes):
        with pytest.raises(ValueError, match=r"."):
            encode_leaf(a_full_entry(**changes), build=BUILD)

    def test_refuses_an_amount_that_other_readers_would_round(self):
        """Money refuses it already; the leaf does not rely on that."""
        amount = Money(0, "EUR")
        object.__setattr__(amount, "minor_units", 2**53)

        with pytest.raises(ValueError, match="cannot hold"):
            encode_leaf(a_full_entry(amount=amount), build=BUILD)

    def test_takes_a_leaf_of_the_largest_size(self):
        """C2SP entry bundles hold at most 65,535 bytes (tlog-tiles)."""
        spare = 65_535 - len(encode_leaf(a_full_entry(rule=""), build=BUILD))
        largest = a_full_entry(rule="x" * spare)

        assert len(encode_leaf(largest, build=BUILD)) == 65_535
        with pytest.raises(ValueError, match="cannot hold"):
            encode_leaf(a_full_entry(rule="x" * (spare + 1)), build=BUILD)

    def test_cuts_a_time_to_milliseconds_and_never_rounds_up(self):
        moment = datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)

        assert show_time(moment) == "2026-12-31T23:59:59.999Z"

    def test_has_no_hash_of_nothing(self):
        assert salted_hash(None, b"salt") is None


FULL = json.loads(encode_leaf(a_fullest_entry(), build=BUILD))


def with_changes(**changes):
    facts = {
        name: value for name, value in (FULL | changes).items() if value is not None
    }
    return rfc8785.dumps(facts)


class TestGrammar:
    def test_takes_only_sorted_fields(self):
        """The table's order is the order of RFC 8785."""
        assert list(FORMS) == sorted(FORMS)

    @pytest.mark.parametrize(
        ("leaf", "fault"),
        [
            (b"", "is not JSON"),
            (b"not json", "is not JSON"),
            (b"\xff", "is not JSON"),
            (b"[" * 100_000, "is not JSON"),
            (b'{"a":' + b"9" * 5000 + b"}", "is not JSON"),
            (b'"\\ud800"', "is not JSON"),
            (b"[]", "is not a JSON object"),
            (b"1", "is not a JSON object"),
            (b"{}", "is of a version that this software does not know"),
            (with_changes(v=2), "is of a version that this software does not know"),
            (with_changes(v=True), "is of a version that this software does not know"),
            (with_changes(v="1"), "is of a version that this software does not know"),
            (b" " + with_changes(), "is not canonical JSON (RFC 8785)"),
            (with_changes() + b"\n", "is not canonical JSON (RFC 8785)"),
            (
                json.dumps(FULL).encode(),
                "is not canonical JSON (RFC 8785)",
            ),
            (
                with_changes().replace(b'"v":1', b'"v":1,"v":1'),
                "is not canonical JSON (RFC 8785)",
            ),
            (
                with_changes().replace(b'"granted"', b'"gr\\u0061nted"'),
                "is not canonical JSON (RFC 8785)",
            ),
            (
                with_changes().replace(b'"granted"', b'"\\u001F"'),
                "is not canonical JSON (RFC 8785)",
            ),
            (
                with_changes().replace(b'"granted"', b'"\\/"'),
                "is not canonical JSON (RFC 8785)",
            ),
            (
                with_changes().replace(b'"granted"', b'"\\u0009"'),
                "is not canonical JSON (RFC 8785)",
            ),
            (with_changes(merchant="other"), "belongs to another merchant"),
            (with_changes(merchant=None), "belongs to another merchant"),
            (with_changes(merchant="shop2"), "belongs to another merchant"),
            (with_changes(build=None), "has no build"),
            (with_changes(caller=None), "has no caller"),
            (with_changes(time=None), "has no time"),
            (with_changes(type=None), "has no type"),
            (with_changes(note="x"), "has a field that leaf version 1 does not have"),
            (with_changes(zz=1), "has a field that leaf version 1 does not have"),
            (
                with_changes(currency=None),
                "has an amount without a currency, or a currency without an amount",
            ),
            (
                with_changes(amount=None),
                "has an amount without a currency, or a currency without an amount",
            ),
        ],
    )
    def test_says_why_it_refuses(self, leaf, fault):
        assert not is_leaf_of(leaf, b"shop")
        assert find_fault(leaf, b"shop") == fault

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("amount", -1),
            ("amount", 10**15),
            ("amount", 1.5),
            ("amount", "1"),
            ("amount", True),
            ("build", 1),
            ("caller", ["x"]),
            ("card", "AB" * 32),
            ("card", "ab" * 31),
            ("card", "4242424242424242"),
            ("card_opened", "true"),
            ("card_opened", 1),
            ("count", "12"),
            ("count", 1.5),
            ("currency", "eur"),
            ("currency", "EURO"),
            ("decision", "maybe"),
            ("effective", "2026-11-25T12:00:00Z"),
            ("environment", "sandbox"),
            ("object", "pi_3Example"),
            ("payment", {"x": 1}),
            ("policy_sha256", ""),
            ("policy_version", "3"),
            ("purpose", "payment"),
            ("purpose", "everything"),
            ("request_id", "6f2c1d4e"),
            ("subject", 1),
            ("time", "2026-11-25T12:00:00Z"),
            ("time", "2026-11-25T12:00:00.000+00:00"),
            ("time", "2026-11-25 12:00:00.000Z"),
            ("time", "2026-91-25T12:00:00.000Z"),
            ("type", "use"),
            ("type", "Use.Intent"),
        ],
    )
    def test_names_the_field_that_is_not_of_its_form(self, field, value):
        leaf = with_changes(**{field: value})
        name = f"has a {field} that is not of the documented form"

        assert not is_leaf_of(leaf, b"shop")
        assert find_fault(leaf, b"shop") == name

    def test_never_quotes_a_value(self):
        leaf = with_changes(amount="4242424242424242", caller="4242424242424242")

        assert "4242" not in find_fault(leaf, b"shop")

    def test_refuses_bytes_that_are_not_utf8(self):
        for bad in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80"):
            leaf = with_changes().replace(b"granted", bad)

            assert not is_leaf_of(leaf, b"shop")
            assert find_fault(leaf, b"shop") == "is not JSON"

    def test_takes_text_in_any_script(self):
        assert is_leaf_of(with_changes(rule="r\u00e8gle \u2028 \U0001f600"), b"shop")

    @given(st.binary(max_size=60))
    def test_refuses_anything_else(self, junk):
        assert not is_leaf_of(junk, b"shop")
        assert find_fault(junk, b"shop")

    @given(st.data())
    def test_takes_exactly_the_canonical_spelling(self, data):
        """Whatever changes one byte and still passes is canonical JSON itself."""
        leaf = bytearray(a_leaf(7))
        place = data.draw(st.integers(0, len(leaf) - 1))
        leaf[place] = data.draw(st.integers(0, 255))

        if is_leaf_of(bytes(leaf), b"shop"):
            assert rfc8785.dumps(json.loads(bytes(leaf))) == bytes(leaf)
        else:
            assert find_fault(bytes(leaf), b"shop")

    def test_does_not_slow_down_on_hostile_text(self):
        """No input makes the expression try a text twice (possessive quantifiers)."""
        hostile = b'{"action":"' + b"\\\\" * 30_000 + b"\\x"

        assert not is_leaf_of(hostile, b"shop")
