"""Which policy governs whom, from publication on. covers: I8."""

import sqlite3
from datetime import timedelta

import pytest

from gateway.errors import (
    IntegrityViolation,
    PolicyDenied,
    PolicyVersionNotFound,
    StateConflict,
)
from gateway.policy.accept_policy import AcceptPolicy, AcceptPolicyCommand
from gateway.policy.in_force import Asked, policy_in_force
from gateway.policy.ports import NOTICE_PERIOD, Notice
from gateway.words.purposes import Purpose
from tests.builders.policies import (
    opt_in,
    publish,
    variation,
    with_phone_for_the_processor,
    without_recurring,
)
from tests.builders.storage import OTHER, SHOP
from tests.builders.vault import CLOSED, NOW, a_request_id, a_vault

EFFECTIVE = NOW + NOTICE_PERIOD
INSTANT = timedelta(microseconds=1)


@pytest.fixture
async def vault(tmp_path):
    async with a_vault(tmp_path) as opened:
        yield opened


async def publish_to(vault, document):
    return await publish(vault.storage, vault.clock, vault.policy_time, document)


async def ask(vault, at, merchant=SHOP, witnessed_at=None):
    """Returns the number in force after a use at this time."""
    asked = Asked(
        merchant=merchant,
        caller="test",
        request_id=a_request_id(),
        at=at,
        policy_at=at,
        witnessed_at=witnessed_at,
    )
    found = await vault.storage.commit(
        merchant, lambda unit: policy_in_force(unit, asked)
    )
    return found.version.number


async def accept(vault, published, merchant=SHOP, **changes):
    values = {
        "merchant": merchant,
        "caller": "compliance",
        "request_id": a_request_id(),
        "number": published.version.number,
        "sha256": published.version.sha256,
    }
    use_case = AcceptPolicy(storage=vault.storage, clock=vault.clock)
    return await use_case.execute(AcceptPolicyCommand(**values | changes))


async def notice_of(vault, number, merchant=SHOP):
    return await vault.storage.read(merchant, lambda unit: unit.policies.notice(number))


class TestWidening:
    async def test_waits_thirty_days_even_if_accepted_at_once(self, vault):
        published = await publish_to(vault, with_phone_for_the_processor())
        await accept(vault, published)

        assert await ask(vault, EFFECTIVE - INSTANT) == 1
        assert await ask(vault, EFFECTIVE) == 2

    async def test_needs_acceptance_or_a_witness(self, vault):
        await publish_to(vault, with_phone_for_the_processor())

        assert await ask(vault, EFFECTIVE) == 1
        assert await ask(vault, EFFECTIVE, witnessed_at=EFFECTIVE - INSTANT) == 1
        assert await ask(vault, EFFECTIVE, witnessed_at=EFFECTIVE) == 2

    async def test_takes_acceptance_alone_where_the_policy_says_so(self, vault):
        document = opt_in(with_phone_for_the_processor())
        published = await publish_to(vault, document)

        assert await ask(vault, EFFECTIVE, witnessed_at=EFFECTIVE) == 1
        await accept(vault, published)
        assert await ask(vault, EFFECTIVE) == 2

    async def test_never_governs_who_left_before(self, vault):
        await publish_to(vault, with_phone_for_the_processor())

        later = EFFECTIVE + NOTICE_PERIOD
        assert await ask(vault, later, CLOSED, witnessed_at=later) == 1

    async def test_leaves_a_notice_and_an_agreement_in_the_log(self, vault):
        published = await publish_to(vault, with_phone_for_the_processor())
        await accept(vault, published)
        await ask(vault, EFFECTIVE)

        told, accepted, agreed = (await vault.log())[-3:]
        assert told["type"] == "policy.notice"
        assert told["effective"] == "2026-12-25T12:00:00.000Z"
        assert accepted["type"] == "policy.accepted"
        assert agreed["type"] == "policy.in_force"
        assert agreed["outcome"] == "ACCEPTED"
        assert agreed["policy_sha256"] == published.version.sha256

    async def test_is_told_once(self, vault):
        first = await publish_to(vault, with_phone_for_the_processor())
        again = await publish_to(vault, with_phone_for_the_processor())

        assert (first.is_new, again.is_new) == (True, False)
        assert first.told >= 2
        assert again.told == 0

    async def test_cannot_start_early_by_way_of_the_database(self, vault):
        published = await publish_to(vault, with_phone_for_the_processor())
        await accept(vault, published)
        raw = sqlite3.connect(vault.folder / "bailee.db")

        with pytest.raises(sqlite3.IntegrityError, match="30_days"):
            raw.execute("UPDATE policy_notices SET effective_at = dispatched_at + 1")
        raw.close()

    def test_cannot_start_early_in_code(self):
        with pytest.raises(ValueError, match="30 days"):
            Notice(
                number=2,
                widens=True,
                dispatched_at=NOW,
                effective_at=EFFECTIVE - INSTANT,
            )

    async def test_a_notice_never_changes(self, vault):
        await publish_to(vault, with_phone_for_the_processor())
        later = Notice(number=2, widens=False, dispatched_at=NOW, effective_at=NOW)

        with pytest.raises(StateConflict):
            await vault.storage.commit(
                SHOP, lambda unit: unit.policies.put_notice(later)
            )


class TestNarrowing:
    async def test_holds_at_once(self, vault):
        await publish_to(vault, without_recurring())

        with pytest.raises(PolicyDenied) as caught:
            await vault.tokenize(purposes={Purpose.RECURRING})

        assert caught.value.metadata["rule"] == "not-in-policy"
        assert await ask(vault, NOW) == 2

    async def test_holds_at_once_where_the_version_also_widens(self, vault):
        both = with_phone_for_the_processor().replace(
            b'"payment.recurring", "payment.installment"', b'"payment.installment"'
        )
        await publish_to(vault, both)

        with pytest.raises(PolicyDenied):
            await vault.tokenize(purposes={Purpose.RECURRING})

        assert await ask(vault, NOW) == 1

    async def test_taking_it_back_is_a_widening(self, vault):
        """Even for a merchant who did not use the gateway in between."""
        await publish_to(vault, without_recurring())
        await publish_to(vault, variation(("# Processing", "# Once more: processing")))

        notice = await notice_of(vault, 3, OTHER)
        assert notice.widens
        assert await ask(vault, NOW, OTHER) == 2


class TestAcceptPolicy:
    async def test_needs_the_text_that_was_published(self, vault):
        published = await publish_to(vault, with_phone_for_the_processor())

        with pytest.raises(PolicyVersionNotFound):
            await accept(vault, published, sha256="0" * 64)
        with pytest.raises(PolicyVersionNotFound):
            await accept(vault, published, number=7)

    async def test_is_refused_to_who_has_left(self, vault):
        published = await publish_to(vault, with_phone_for_the_processor())

        with pytest.raises(StateConflict):
            await accept(vault, published, merchant=CLOSED)

    async def test_twice_changes_nothing(self, vault):
        published = await publish_to(vault, with_phone_for_the_processor())
        first = await accept(vault, published)

        again = await accept(vault, published)

        assert again.notice == first.notice
        assert again.receipt is None


class TestStoredVersion:
    async def test_is_refused_when_its_text_was_changed(self, vault):
        await publish_to(vault, without_recurring())
        raw = sqlite3.connect(vault.folder / "bailee.db")
        raw.execute("UPDATE policies SET document = ?", (variation(),))
        raw.commit()
        raw.close()

        with pytest.raises(IntegrityViolation):
            await ask(vault, NOW)
