"""Processor accounts: whose they are the processor says; their keys only go in."""

import asyncio
import json

import grpc
import pytest
from bailee.client import new_request_id
from bailee.errors import from_rpc_error
from bailee.v1 import (
    card_pb2,
    merchant_pb2,
    money_pb2,
    payment_service_pb2,
    purpose_pb2,
)
from bailee.v1 import merchant_service_pb2 as pb

from gateway.words.clock import SystemClock
from gateway.words.identifiers import MerchantId
from tests.builders.gateway import running
from tests.builders.merchants import (
    LIVE,
    PLATFORM,
    create_merchant,
    deactivate_merchant,
    entries_of,
)
from tests.builders.storage import OTHER, SHOP
from tests.contract.processor_harness import Fault
from tests.processors.stripe.stand_in import (
    ACCOUNT,
    KEY,
    LIVE_KEY,
    OTHER_KEY,
    SECOND_KEY,
    key_of,
    stripe_stand_in,
)

KEYS = (KEY, SECOND_KEY, OTHER_KEY, LIVE_KEY)
PENDING = merchant_pb2.ProcessorAccount.STATE_PENDING
ACTIVE = merchant_pb2.ProcessorAccount.STATE_ACTIVE


@pytest.fixture
async def stand_in():
    async with stripe_stand_in() as made:
        yield made


@pytest.fixture
async def site(tmp_path, stand_in):
    async with running(
        tmp_path, stripe=stand_in.address, accept_plain_cards=True
    ) as made:
        made.who.caller = PLATFORM
        yield made


def create(name="main", credential=KEY, **changes):
    values = {"merchant": SHOP, "request_id": new_request_id(), "processor": "stripe"}
    return pb.CreateProcessorAccountRequest(
        processor_account=name, credential=credential, **values | changes
    )


def accept(name="main", external=ACCOUNT, **changes):
    values = {"merchant": SHOP, "request_id": new_request_id()}
    return pb.AcceptProcessorAccountRequest(
        processor_account=name, external_account=external, **values | changes
    )


def check(name="main", merchant=SHOP):
    return pb.CheckProcessorAccountRequest(
        merchant=merchant, request_id=new_request_id(), processor_account=name
    )


def add(credential, name="main", **changes):
    values = {"merchant": SHOP, "request_id": new_request_id()}
    return pb.AddCredentialRequest(
        processor_account=name, credential=credential, **values | changes
    )


def retire(credential, name="main", **changes):
    values = {"merchant": SHOP, "request_id": new_request_id()}
    return pb.RetireCredentialRequest(
        processor_account=name, credential=credential, **values | changes
    )


def charge(account="main", merchant=SHOP, **changes):
    plain = card_pb2.PlainCard(
        number="4242424242424242",
        expiry_month=12,
        expiry_year=SystemClock().now().year + 3,
    )
    return payment_service_pb2.CreatePaymentRequest(
        merchant=merchant,
        request_id=new_request_id(),
        card=card_pb2.CardInput(plain=plain),
        amount=money_pb2.Money(minor_units=100, currency="USD"),
        purpose=purpose_pb2.PURPOSE_PAYMENT_CUSTOMER_INITIATED,
        processor_account=account,
        **changes,
    )


async def refused(call, request):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(request)
    return from_rpc_error(caught.value, "")


async def accepted(site):
    """Returns the account, ready to charge."""
    await site.merchants.CreateProcessorAccount(create())
    return (await site.merchants.AcceptProcessorAccount(accept())).processor_account


class TestCreateProcessorAccount:
    async def test_takes_id_and_mode_from_the_processor(self, site, stand_in):
        made = await site.merchants.CreateProcessorAccount(create())

        account = made.processor_account
        assert (account.external_account, account.state) == (ACCOUNT, PENDING)
        assert account.environment == merchant_pb2.ENVIRONMENT_TEST
        assert account.host == stand_in.address.removeprefix("http://")
        assert account.last_check.result == merchant_pb2.AccountCheck.RESULT_OK
        entry = entries_of(site.storage)[-1]
        assert entry["type"] == "account.created"
        assert entry["external_account"] == ACCOUNT
        assert entry["processor_host"] == account.host

    async def test_is_answered_once_and_asks_the_processor_once(self, site, stand_in):
        request = create()
        first = await site.merchants.CreateProcessorAccount(request)
        again = await site.merchants.CreateProcessorAccount(request)
        request.credential = SECOND_KEY
        error = await refused(site.merchants.CreateProcessorAccount, request)

        assert (first.replayed, again.replayed) == (False, True)
        assert first.processor_account == again.processor_account
        assert error.reason == "REQUEST_ID_REUSED"
        assert [item.path for item in stand_in.received] == ["/v1/account"]

    async def test_refuses_a_live_key_for_a_merchant_in_test_mode(self, site):
        error = await refused(
            site.merchants.CreateProcessorAccount, create(credential=LIVE_KEY)
        )

        assert error.violations[0].field == "credential"
        assert "live mode" in error.violations[0].description

    async def test_refuses_a_test_key_for_a_merchant_in_live_mode(self, site):
        await site.merchants.CreateMerchant(create_merchant("real", environment=LIVE))
        error = await refused(
            site.merchants.CreateProcessorAccount, create(merchant="real")
        )
        made = await site.merchants.CreateProcessorAccount(
            create(merchant="real", credential=LIVE_KEY)
        )
        simulated = create("sim", "", merchant="real", processor="simulator")
        third = await refused(site.merchants.CreateProcessorAccount, simulated)

        assert "test mode" in error.violations[0].description
        assert made.processor_account.environment == LIVE
        assert third.violations[0].field == "credential"

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"credential": "rk_test_unknown"}, "credential"),
            ({"credential": "pk_test_51abc"}, "credential"),
            ({"credential": "two words"}, "credential"),
            ({"credential": "x" * 600}, "credential"),
            ({"credential": ""}, "credential"),
            ({"name": "Main"}, "processor_account"),
            ({"name": ""}, "processor_account"),
            ({"processor": "adyen"}, "processor"),
        ],
    )
    async def test_refuses_what_makes_no_account(self, site, changes, field):
        error = await refused(site.merchants.CreateProcessorAccount, create(**changes))

        assert error.violations[0].field == field
        brought = changes.get("credential", KEY)
        assert not brought or brought not in str(error)

    async def test_refuses_the_same_account_under_another_name(self, site):
        await site.merchants.CreateProcessorAccount(create())

        error = await refused(
            site.merchants.CreateProcessorAccount, create("copy", SECOND_KEY)
        )

        assert error.reason == "STATE_CONFLICT"
        assert error.metadata["processor_account"] == "main"

    async def test_is_refused_when_the_merchant_is_deactivated(self, site):
        await site.merchants.DeactivateMerchant(deactivate_merchant())

        error = await refused(site.merchants.CreateProcessorAccount, create())

        assert error.reason == "STATE_CONFLICT"


class TestAcceptProcessorAccount:
    async def test_lets_payments_use_the_account(self, site, stand_in):
        await site.merchants.CreateProcessorAccount(create())
        before = await refused(site.payments.CreatePayment, charge())
        sent = len(stand_in.received)
        account = (
            await site.merchants.AcceptProcessorAccount(accept())
        ).processor_account
        paid = await site.payments.CreatePayment(charge())

        assert before.reason == "STATE_CONFLICT"
        assert sent == 1  # only the question whose the key is
        assert account.state == ACTIVE
        assert account.HasField("accept_time")
        assert paid.payment.captured.minor_units == 100
        intent = next(
            entry for entry in entries_of(site.storage) if entry["type"] == "use.intent"
        )
        assert intent["external_account"] == ACCOUNT
        assert intent["processor_host"] == account.host
        assert intent["environment"] == "test"

    async def test_wants_the_processors_id_typed(self, site):
        await site.merchants.CreateProcessorAccount(create())

        error = await refused(
            site.merchants.AcceptProcessorAccount, accept(external="acct_1Other")
        )

        assert error.violations[0].field == "external_account"

    async def test_holds_for_the_host_alone(self, site, stand_in):
        """A changed setting must not send cards and keys elsewhere."""
        await accepted(site)
        async with stripe_stand_in() as elsewhere:
            stripe = site.gateway.processors["stripe"]._processor
            stripe._connection._address = elsewhere.address
            charged = await refused(site.payments.CreatePayment, charge())
            checked = await site.merchants.CheckProcessorAccount(check())
            assert elsewhere.received == []

            await site.merchants.AcceptProcessorAccount(accept())
            await stripe.close()
            paid = await site.payments.CreatePayment(charge())
            await stripe.close()

        assert charged.reason == "STATE_CONFLICT"
        reason = checked.processor_account.last_check.failure_reason
        assert reason == "ACCEPTED_FOR_ANOTHER_HOST"
        assert paid.payment.captured.minor_units == 100


class TestCheckProcessorAccount:
    @pytest.mark.parametrize(
        ("accounts", "reason"),
        [
            ({}, "CREDENTIAL_REJECTED"),
            ({KEY: "acct_1Moved"}, "CREDENTIAL_OF_ANOTHER_ACCOUNT"),
        ],
    )
    async def test_tells_what_the_processor_says_now(
        self, site, stand_in, accounts, reason
    ):
        await accepted(site)
        stand_in.accounts = accounts

        done = await site.merchants.CheckProcessorAccount(check())

        shown = done.processor_account.last_check
        assert shown.result == merchant_pb2.AccountCheck.RESULT_FAILED
        assert shown.failure_reason == reason
        assert entries_of(site.storage)[-1]["outcome"] == reason

    async def test_tells_that_nobody_answered(self, site, stand_in):
        await accepted(site)
        stand_in.faults[None] = Fault.ERROR

        done = await site.merchants.CheckProcessorAccount(check())

        shown = done.processor_account.last_check
        assert shown.result == merchant_pb2.AccountCheck.RESULT_UNREACHABLE


class TestCredentials:
    async def keys_sent(self, site, stand_in):
        """Returns the key that a charge is made with."""
        before = len(stand_in.received)
        await site.payments.CreatePayment(charge())
        return {key_of(item) for item in stand_in.received[before:]}

    async def test_roll_without_a_pause(self, site, stand_in):
        first = (await accepted(site)).credentials[0].name
        assert await self.keys_sent(site, stand_in) == {KEY}

        both = (await site.merchants.AddCredential(add(SECOND_KEY))).processor_account
        assert await self.keys_sent(site, stand_in) == {SECOND_KEY}
        left = (await site.merchants.RetireCredential(retire(first))).processor_account

        assert await self.keys_sent(site, stand_in) == {SECOND_KEY}
        states = merchant_pb2.ProcessorCredential
        assert [item.state for item in both.credentials] == [states.STATE_ACTIVE] * 2
        assert [item.state for item in left.credentials] == [
            states.STATE_RETIRED,
            states.STATE_ACTIVE,
        ]
        types = [entry["type"] for entry in entries_of(site.storage)]
        assert "account.credential_added" in types
        assert "account.credential_retired" in types

    async def test_are_of_the_same_account_and_mode(self, site):
        await accepted(site)

        for key in (OTHER_KEY, LIVE_KEY, "rk_test_unknown"):
            error = await refused(site.merchants.AddCredential, add(key))
            assert error.violations[0].field == "credential"

    async def test_are_two_at_most_and_one_at_least(self, site):
        first = (await accepted(site)).credentials[0].name
        alone = await refused(site.merchants.RetireCredential, retire(first))
        await site.merchants.AddCredential(add(SECOND_KEY))
        third = await refused(site.merchants.AddCredential, add(KEY))

        assert alone.reason == third.reason == "STATE_CONFLICT"

    async def test_of_a_deactivated_merchant_can_all_be_destroyed(self, site):
        first = (await accepted(site)).credentials[0].name
        await site.merchants.DeactivateMerchant(deactivate_merchant())

        done = await site.merchants.RetireCredential(retire(first))

        assert done.processor_account.credentials[0].HasField("retire_time")

    async def test_are_in_no_file_and_no_answer(self, site, tmp_path):
        """Sealed at rest; a retired one is not even that."""
        first = (await accepted(site)).credentials[0].name
        await site.merchants.AddCredential(add(SECOND_KEY))
        listed = await site.merchants.ListProcessorAccounts(
            pb.ListProcessorAccountsRequest(merchant=SHOP)
        )
        await site.merchants.RetireCredential(retire(first))

        rows = site.storage._reader().execute(
            "SELECT retired_at IS NULL, sealed IS NULL, wrapped IS NULL, "
            "wrapping_key IS NULL FROM processor_credentials ORDER BY credential"
        )
        assert rows.fetchall() == [(0, 1, 1, 1), (1, 0, 0, 0)]
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert files
        for key in KEYS:
            assert all(key.encode() not in file.read_bytes() for file in files)
            assert key not in str(listed)
            assert key not in json.dumps(entries_of(site.storage))

    async def test_open_for_their_own_merchant_and_account_alone(self, site):
        """covers: I9. A row copied to another place does not open."""
        await accepted(site)
        sealed = await site.storage.read(SHOP, lambda unit: unit.credentials.of("main"))
        await site.merchants.CreateMerchant(create_merchant("thief"))
        moved = create("sim", "", merchant="thief", processor="simulator")
        await site.merchants.CreateProcessorAccount(moved)
        connection = site.storage._connection
        connection.execute(
            "UPDATE processor_credentials SET sealed = (SELECT sealed FROM "
            "processor_credentials WHERE name = ?), wrapped = (SELECT wrapped FROM "
            "processor_credentials WHERE name = ?), wrapping_key = (SELECT wrapping_key"
            " FROM processor_credentials WHERE name = ?) WHERE name != ?",
            (sealed[0].name,) * 4,
        )

        error = await refused(
            site.merchants.CheckProcessorAccount, check("sim", merchant="thief")
        )

        assert error.reason == "INTEGRITY_VIOLATION"

    async def test_survive_a_rotation_of_the_epoch_key(self, site, stand_in):
        await accepted(site)
        before = await site.storage.read(SHOP, lambda unit: unit.credentials.of("main"))
        [old] = site.keys.epochs()
        made = await self._rotate(site)
        after = await site.storage.read(SHOP, lambda unit: unit.credentials.of("main"))

        assert made != old
        assert after[0].secret.wrapping_key_id != before[0].secret.wrapping_key_id
        assert after[0].secret.sealed == before[0].secret.sealed
        assert await self.keys_sent(site, stand_in) == {KEY}

    async def _rotate(self, site):
        """Makes a new epoch, moves the credentials, destroys the old one."""
        old = site.keys.epochs()[0]
        await site.keys.make_epoch("ep-new", SystemClock().now())
        moved = []

        async def note(count):
            moved.append(count)

        rewraps = site.gateway.rotation._parts.rewraps
        assert len(rewraps) == 2
        for rewrap in rewraps:
            await rewrap.move(old, note)
        assert sum(moved) >= 1
        await site.keys.destroy_epoch(old)
        site.gateway._hierarchy.forget()
        return site.keys.epochs()[0]


class TestOtherMerchants:
    async def test_have_no_account_of_this_one(self, site):
        """covers: I9."""
        first = (await accepted(site)).credentials[0].name
        named = {"merchant": OTHER, "processor_account": "main"}
        for call, request in (
            (
                site.merchants.GetProcessorAccount,
                pb.GetProcessorAccountRequest(**named),
            ),
            (site.merchants.CheckProcessorAccount, check(merchant=OTHER)),
            (site.merchants.AcceptProcessorAccount, accept(merchant=OTHER)),
            (site.merchants.AddCredential, add(SECOND_KEY, merchant=OTHER)),
            (site.merchants.RetireCredential, retire(first, merchant=OTHER)),
            (site.payments.CreatePayment, charge(merchant=OTHER)),
        ):
            error = await refused(call, request)
            assert error.reason == "PROCESSOR_ACCOUNT_NOT_FOUND"

    async def test_can_have_the_same_names(self, site):
        await accepted(site)
        await site.merchants.CreateMerchant(create_merchant("hats"))

        made = await site.merchants.CreateProcessorAccount(
            create(merchant="hats", credential=OTHER_KEY)
        )

        assert made.processor_account.external_account == "acct_1Other"

    async def test_at_once_make_one_account_each(self, site):
        names = [MerchantId(f"shop-{number}") for number in range(5)]
        for name in names:
            await site.merchants.CreateMerchant(create_merchant(name))
        requests = [create(merchant=name) for name in names for _ in range(2)]

        answers = await asyncio.gather(
            *(site.merchants.CreateProcessorAccount(each) for each in requests),
            return_exceptions=True,
        )

        made = [each for each in answers if not isinstance(each, Exception)]
        assert len(made) == len(names)
