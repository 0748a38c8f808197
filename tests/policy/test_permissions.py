"""How two policies compare. covers: I8."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.permissions import (
    DataElement,
    Initiator,
    Permission,
    Permissions,
    RecipientClass,
    Row,
)
from gateway.policy.versions import SHIPPED
from gateway.words.purposes import Purpose, Verb

ALL = sorted(SHIPPED.permissions.days)


def tables():
    return st.dictionaries(st.sampled_from(ALL), st.integers(0, 400), max_size=12).map(
        Permissions
    )


def a_row(**changes):
    values = {
        "purpose": Purpose.RECURRING,
        "verbs": frozenset({Verb.CHARGE}),
        "initiators": frozenset({Initiator.MERCHANT}),
        "elements": frozenset({DataElement.NUMBER}),
        "recipients": frozenset({RecipientClass.CARD_PROCESSOR}),
        "retention_days": 0,
    }
    return Row(**values | changes)


class TestRow:
    def test_is_every_combination_of_what_it_lists(self):
        elements = frozenset({DataElement.NUMBER, DataElement.EXPIRY})

        assert set(a_row(elements=elements).permissions()) == {
            Permission(
                Purpose.RECURRING,
                Verb.CHARGE,
                Initiator.MERCHANT,
                element,
                RecipientClass.CARD_PROCESSOR,
            )
            for element in elements
        }

    @pytest.mark.parametrize(
        "changes",
        [
            {"purpose": Purpose.MARKETING},
            {"verbs": frozenset({Verb.VERIFY})},
            {"initiators": frozenset({Initiator.CARDHOLDER})},
            {"recipients": frozenset({RecipientClass.VAULT})},
            {"retention_days": -1},
        ],
    )
    def test_refuses_what_can_never_be_allowed(self, changes):
        with pytest.raises(ValueError, match=r"\w"):
            Permissions.of([a_row(**changes)])


class TestPermissions:
    @given(tables(), tables())
    def test_widens_exactly_when_something_new_is_allowed(self, new, old):
        widens = bool(new.widenings_over(old))

        assert widens == any(
            days > old.days.get(item, -1) for item, days in new.days.items()
        )

    @given(tables(), tables())
    def test_what_both_allow_widens_neither(self, one, other):
        both = one.both(other)

        assert both.widenings_over(one) == both.widenings_over(other) == []
        assert both == other.both(one)

    @given(tables())
    def test_a_policy_does_not_widen_itself(self, table):
        assert table.widenings_over(table) == []
        assert table.both(table) == table

    def test_names_a_longer_retention(self):
        item = ALL[0]

        (found,) = Permissions({item: 30}).widenings_over(Permissions({item: 7}))

        assert (found.permission, found.days, found.days_before) == (item, 30, 7)

    def test_keeps_a_card_for_the_longest_need(self):
        assert SHIPPED.permissions.retention_days({Purpose.RECURRING}) == 180
        assert SHIPPED.permissions.retention_days({Purpose.ERASURE}) == 0
