"""The one door: no durable intent, no unwrap; declared fields only. covers: I2."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.cards.details import BillingDetails
from gateway.errors import (
    AuditUnavailable,
    CardTokenNotFound,
    IntegrityViolation,
    InvariantBroken,
    KeyUnavailable,
    StorageUnavailable,
)
from gateway.policy.mandate import Mandate
from gateway.policy.permissions import DataElement
from gateway.vault.card_access import Denial, Intent, OpenedCard
from gateway.vault.ports import CardField
from gateway.words.identifiers import ProcessorAccountId, new_name
from gateway.words.money import Money
from gateway.words.purposes import Purpose, Verb
from tests.builders.storage import NOW, OTHER, SHOP
from tests.builders.vault import (
    BILLING,
    CALLER,
    NUMBER,
    Recipient,
    a_delete_command,
    a_use,
    an_account,
)
from tests.contract.key_provider_contract import damaged

ALL = frozenset(CardField)


@pytest.fixture
async def card(vault):
    return await vault.tokenize()


@pytest.fixture
async def intent(vault, card):
    """A durable intent, in a process that has no key in memory."""
    durable = await vault.intend(a_use(card.token))
    vault.start_again()
    vault.provider.unwraps = 0
    return durable


class TestIntend:
    async def test_appends_an_intent_that_says_what_for(self, vault, card):
        use = a_use(card.token, amount=Money(1999, "USD"))

        intent = await vault.intend(use)

        assert isinstance(intent, Intent)
        entry = (await vault.log())[intent.appended.index]
        assert entry == {
            "v": 1,
            "type": "use.intent",
            "time": "2026-11-25T12:00:00.000Z",
            "merchant": "shop",
            "caller": CALLER,
            "request_id": use.request_id,
            "action": "charge",
            "purpose": "payment.customer_initiated",
            "policy_version": 1,
            "policy_sha256": entry["policy_sha256"],
            "decision": "allowed",
            "rule": "granted",
            "payment": use.payment,
            "processor_account": "simulator",
            "environment": "test",
            "external_account": "simulator",
            "processor_host": "simulator",
            "amount": 1999,
            "currency": "USD",
            "card": entry["card"],
            "build": "test",
        }
        assert len(entry["policy_sha256"]) == len(entry["card"]) == 64

    @pytest.mark.parametrize(
        ("changes", "rule"),
        [
            ({"purpose": Purpose.RECURRING}, "not-granted"),
            ({"purpose": Purpose.MARKETING}, "purpose-never-allowed"),
            ({"purpose": Purpose.VERIFICATION}, "verb-does-not-fit-purpose"),
            ({"verb": Verb.VERIFY}, "verb-does-not-fit-purpose"),
        ],
    )
    async def test_a_denial_is_an_entry_too(self, vault, card, changes, rule):
        denial = await vault.intend(a_use(card.token, **changes))

        assert isinstance(denial, Denial)
        assert denial.rule == rule
        entry = (await vault.log())[denial.appended.index]
        assert entry["type"] == "use.denied"
        assert entry["decision"] == "denied"
        assert entry["rule"] == rule

    async def test_a_mandate_that_ended_grants_nothing(self, vault):
        """The keys are still there; the cardholder's agreement is not."""
        mandate = Mandate(expires_at=NOW + timedelta(seconds=1))
        card = await vault.tokenize(mandate=mandate)

        before = await vault.intend(a_use(card.token, at=NOW))
        after = await vault.intend(a_use(card.token, at=mandate.expires_at))

        assert isinstance(before, Intent)
        assert isinstance(after, Denial)
        assert after.rule == "not-granted"

    async def test_an_erased_card_is_denied(self, vault, card):
        await vault.delete_card_token.execute(a_delete_command(card.token))

        denial = await vault.intend(a_use(card.token))

        assert denial.rule == "card-erased"

    async def test_finds_no_card_of_another_merchant(self, vault, card):
        """covers: I9. It looks as if there were none, and leaves no entry."""
        for token in (card.token, new_name("card")):
            with pytest.raises(CardTokenNotFound):
                await vault.intend(a_use(token, merchant=OTHER))
        assert await vault.log(OTHER) == []

    async def test_refuses_a_use_in_another_merchants_unit(self, vault, card):
        use = a_use(card.token, merchant=OTHER)

        with pytest.raises(InvariantBroken):
            await vault.storage.commit(
                SHOP, lambda unit: vault.access.intend(unit, use)
            )

    async def test_denies_a_card_that_was_not_stored(self, vault):
        use = a_use(new_name("card"))

        denial = await vault.storage.commit(
            SHOP, lambda unit: vault.access.deny(unit, use, "not-granted")
        )

        assert (await vault.log())[denial.appended.index]["type"] == "use.denied"


class TestNoDurableIntentNoUnwrap:
    """If the log cannot be written the card stays shut."""

    async def open_fails(self, vault, intent):
        vault.start_again()
        vault.provider.unwraps = 0
        for opening in (
            vault.access.open_card(intent, Recipient()),
            vault.access.open_reference(intent, Recipient()),
            vault.access.seal_reference(intent, an_account().account_id, b"r"),
        ):
            with pytest.raises(InvariantBroken):
                await opening
        assert vault.provider.unwraps == 0

    async def test_when_the_unit_is_undone(self, vault, card):
        kept = []

        def fails(unit):
            kept.append(vault.access.intend(unit, a_use(card.token)))
            raise KeyError

        with pytest.raises(KeyError):
            await vault.storage.commit(SHOP, fails)

        assert isinstance(kept[0], Intent)
        assert "use.intent" not in await vault.log_types()
        await self.open_fails(vault, kept[0])

    async def test_while_the_unit_still_runs(self, vault, card):
        """The storage thread is in the unit; the caller already holds the intent."""
        kept, durable = [], []

        def peeks(unit):
            intent = vault.access.intend(unit, a_use(card.token))
            kept.append(intent)
            durable.append(intent.appended.is_durable)

        await vault.storage.commit(SHOP, peeks)

        assert durable == [False]
        assert kept[0].appended.is_durable

    async def test_when_the_commit_fails(self, vault, card, monkeypatch):
        kept = []

        def keeps(unit):
            kept.append(vault.access.intend(unit, a_use(card.token)))

        writer = vault.storage._writer._transactions
        connection = writer._connection

        class Failing:
            """A database that does not commit, as when the disk is full."""

            def __getattr__(self, name):
                return getattr(connection, name)

            def execute(self, sql, *values):
                if sql == "COMMIT":
                    raise OSError("disk full")
                return connection.execute(sql, *values)

        monkeypatch.setattr(writer, "_connection", Failing())
        with pytest.raises(StorageUnavailable):
            await vault.storage.commit(SHOP, keeps)
        monkeypatch.undo()

        assert "use.intent" not in await vault.log_types()
        await self.open_fails(vault, kept[0])

    async def test_when_the_log_refuses(self, vault, card, monkeypatch):
        class Refusing:
            def __init__(self, unit):
                self.cards, self.merchants = unit.cards, unit.merchants
                self.policies, self.holds = unit.policies, unit.holds
                self.log = self

            def append(self, entry):
                raise AuditUnavailable

        with pytest.raises(AuditUnavailable):
            await vault.storage.commit(
                SHOP,
                lambda unit: vault.access.intend(Refusing(unit), a_use(card.token)),
            )

    async def test_an_intent_opens_no_other_card(self, vault, card, intent):
        """The intent carries its own card; a second card needs its own intent."""
        other = await vault.tokenize()

        mixed = replace(intent, card=await vault.find(other.token))

        with pytest.raises(IntegrityViolation):
            await vault.access.open_card(mixed, Recipient())


@pytest.fixture
def permissive(intent):
    """The intent under a policy that allows a processor every data element."""
    return replace(intent, elements=frozenset(DataElement))


class TestRecipient:
    @pytest.mark.parametrize(
        "recipient",
        [
            Recipient(name="stripe"),
            Recipient(purposes=frozenset({Purpose.RECURRING, Purpose.MARKETING})),
            Recipient(purposes=frozenset()),
        ],
        ids=["another processor", "another purpose", "no purpose"],
    )
    async def test_refuses_who_did_not_declare_the_use(self, vault, intent, recipient):
        for opening in (
            vault.access.open_card(intent, recipient),
            vault.access.open_reference(intent, recipient),
        ):
            with pytest.raises(InvariantBroken):
                await opening
        assert vault.provider.unwraps == 0

    async def test_refuses_a_use_without_an_account(self, vault, card):
        intent = await vault.intend(a_use(card.token, account=None))
        vault.start_again()
        vault.provider.unwraps = 0

        with pytest.raises(InvariantBroken):
            await vault.access.open_card(intent, Recipient())
        assert vault.provider.unwraps == 0

    async def test_gives_everything_that_was_declared_and_allowed(
        self, vault, permissive
    ):
        opened = await vault.access.open_card(permissive, Recipient())

        assert opened.number.reveal() == NUMBER
        assert (opened.expiry.month, opened.expiry.year) == (12, 2030)
        assert opened.billing == BILLING

    async def test_holds_back_what_the_policy_does_not_allow(self, vault, intent):
        """The policy that ships gives no processor a mail address or a phone."""
        opened = await vault.access.open_card(intent, Recipient())

        assert opened.billing == replace(BILLING, email="", phone="")

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            (set(), OpenedCard()),
            ({CardField.BILLING_NAME}, {"name": BILLING.name}),
            ({CardField.BILLING_EMAIL}, {"email": BILLING.email}),
            ({CardField.BILLING_PHONE}, {"phone": BILLING.phone}),
            (
                {CardField.BILLING_ADDRESS},
                {
                    "line1": BILLING.line1,
                    "city": BILLING.city,
                    "postal_code": BILLING.postal_code,
                    "country": BILLING.country,
                },
            ),
        ],
        ids=["nothing", "name", "email", "phone", "address"],
    )
    async def test_gives_only_declared_fields(
        self, vault, permissive, fields, expected
    ):
        if isinstance(expected, dict):
            expected = OpenedCard(billing=BillingDetails(**expected))

        opened = await vault.access.open_card(
            permissive, Recipient(fields=frozenset(fields))
        )

        assert opened == expected

    @pytest.mark.parametrize("missing", sorted(ALL))
    async def test_holds_back_each_field_that_was_not_declared(
        self, vault, permissive, missing
    ):
        opened = await vault.access.open_card(
            permissive, Recipient(fields=ALL - {CardField(missing)})
        )

        held_back = {
            CardField.NUMBER: opened.number,
            CardField.EXPIRY: opened.expiry,
            CardField.BILLING_NAME: opened.billing.name,
            CardField.BILLING_ADDRESS: "".join(
                [
                    opened.billing.line1,
                    opened.billing.line2,
                    opened.billing.city,
                    opened.billing.region,
                    opened.billing.postal_code,
                    opened.billing.country,
                ]
            ),
            CardField.BILLING_EMAIL: opened.billing.email,
            CardField.BILLING_PHONE: opened.billing.phone,
        }
        assert {name for name, value in held_back.items() if not value} == {missing}

    async def test_shows_nothing_when_printed(self, vault, intent):
        opened = await vault.access.open_card(intent, Recipient())

        shown = f"{opened!r} {intent!r}"
        assert NUMBER not in shown
        assert "Zoë" not in shown
        assert repr(intent.card.sealed)[2:-1] not in shown
        assert repr(intent.card_key.wrapped)[2:-1] not in shown
        assert repr(intent.use.card_salt)[2:-1] not in shown


class TestDamage:
    @damaged
    async def test_refuses_a_damaged_card(self, vault, intent, damage):
        wrong = replace(intent.card, sealed=damage(intent.card.sealed))

        with pytest.raises(IntegrityViolation):
            await vault.access.open_card(replace(intent, card=wrong), Recipient())

    @damaged
    async def test_refuses_a_damaged_key(self, vault, intent, damage):
        wrong = replace(intent.card_key, wrapped=damage(intent.card_key.wrapped))

        with pytest.raises(IntegrityViolation):
            await vault.access.open_card(replace(intent, card_key=wrong), Recipient())

    async def test_refuses_a_card_without_its_bytes(self, vault, intent):
        wrong = replace(intent, card=replace(intent.card, sealed=None))

        with pytest.raises(IntegrityViolation):
            await vault.access.open_card(wrong, Recipient())

    @pytest.mark.parametrize("change", [{"generation": 2}, {"policy_version": 2}])
    async def test_refuses_a_rewritten_row(self, vault, intent, change):
        wrong = replace(intent, card=replace(intent.card, **change))

        with pytest.raises(IntegrityViolation):
            await vault.access.open_card(wrong, Recipient())

    async def test_says_so_when_the_keys_are_away(self, vault, intent):
        vault.provider.is_reachable = False

        with pytest.raises(KeyUnavailable):
            await vault.access.open_card(intent, Recipient())


class TestReference:
    """The processor's own names for a card, so that the number stays shut."""

    ACCOUNT = an_account().account_id
    REFERENCE = json.dumps(["pm_1234", "cus_5678"]).encode()

    async def keep(self, vault, intent):
        """Seals and stores a reference as a payment does."""
        sealed = await vault.access.seal_reference(intent, self.ACCOUNT, self.REFERENCE)
        token = intent.use.token
        await vault.storage.commit(
            SHOP, lambda unit: unit.cards.put_reference(token, sealed)
        )
        return sealed

    async def test_there_is_none_before_a_processor_gave_one(self, vault, intent):
        assert await vault.access.open_reference(intent, Recipient()) is None
        assert vault.provider.unwraps == 0

    async def test_opens_for_a_later_use_while_the_card_stays_shut(
        self, vault, card, intent
    ):
        sealed = await self.keep(vault, intent)
        later = await vault.intend(a_use(card.token))
        shut = replace(
            later,
            card=replace(later.card, sealed=None),
            card_key=replace(later.card_key, wrapped=b""),
        )

        opened = await vault.access.open_reference(shut, Recipient())

        assert opened == self.REFERENCE
        assert b"pm_1234" not in sealed.sealed

    async def test_counts_its_generations(self, vault, card, intent):
        first = await self.keep(vault, intent)
        second = await self.keep(vault, await vault.intend(a_use(card.token)))

        assert (first.generation, second.generation) == (1, 2)

    async def test_an_older_one_does_not_pass_for_the_newer(self, vault, card, intent):
        first = await self.keep(vault, intent)
        second = await self.keep(vault, await vault.intend(a_use(card.token)))
        later = await vault.intend(a_use(card.token))
        older = replace(second, sealed=first.sealed)

        with pytest.raises(IntegrityViolation):
            await vault.access.open_reference(
                replace(later, reference=older), Recipient()
            )

    async def test_is_never_sealed_for_another_account(self, vault, intent):
        with pytest.raises(InvariantBroken):
            await vault.access.seal_reference(
                intent, ProcessorAccountId("other"), self.REFERENCE
            )
        assert vault.provider.unwraps == 0

    async def test_another_accounts_reference_is_refused(self, vault, card, intent):
        sealed = await self.keep(vault, intent)
        moved = replace(sealed, account_id=ProcessorAccountId("other"))
        later = replace(await vault.intend(a_use(card.token)), reference=moved)

        with pytest.raises(IntegrityViolation):
            await vault.access.open_reference(later, Recipient())

    async def test_another_cards_reference_is_refused(self, vault, intent):
        sealed = await self.keep(vault, intent)
        other = await vault.tokenize()
        later = replace(await vault.intend(a_use(other.token)), reference=sealed)

        with pytest.raises(IntegrityViolation):
            await vault.access.open_reference(later, Recipient())

    async def test_is_not_looked_up_without_an_account(self, vault, card, intent):
        await self.keep(vault, intent)

        later = await vault.intend(a_use(card.token, account=None))

        assert later.reference is None


class TestRaces:
    async def test_erasure_and_use_are_ordered_by_their_commits(self, vault, card):
        """Whatever comes after the erasure in the log was denied."""
        delete = a_delete_command(card.token)

        await asyncio.gather(
            *(vault.intend(a_use(card.token)) for _ in range(10)),
            vault.delete_card_token.execute(delete),
            *(vault.intend(a_use(card.token)) for _ in range(10)),
        )

        types = await vault.log_types()
        erased = types.index("card.erased")
        assert "use.denied" not in types[:erased]
        assert "use.intent" not in types[erased:]
