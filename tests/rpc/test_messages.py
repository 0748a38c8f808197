"""Reading requests and showing answers, without a server.

Use cases are stand-ins that keep the command and stop: what matters here is what
reaches them, and what does not.
"""

from contextvars import copy_context
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from bailee.v1 import (
    card_pb2,
    money_pb2,
    payment_pb2,
    payment_service_pb2,
    purpose_pb2,
    vault_service_pb2,
)
from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import (
    CardTokenNotFound,
    GatewayError,
    PaymentNotFound,
    Reason,
    RequestInvalid,
)
from gateway.payments.payment import (
    Move,
    MoveKind,
    MoveStatus,
    Payment,
    PaymentState,
    Step,
)
from gateway.payments.processor import Decline, DeclineClass, RetryAdvice
from gateway.policy.mandate import DEFAULT_PURPOSES, Mandate
from gateway.rpc import payment_messages, vault_messages
from gateway.rpc.callers import set_caller
from gateway.rpc.paging import PageTokens
from gateway.rpc.payment_servicer import PaymentServicer
from gateway.rpc.request_digests import RequestDigests
from gateway.rpc.vault_servicer import VaultServicer
from gateway.vault.sealed_input import PlainForm, SealedForm
from gateway.words.callers import Caller, Role
from gateway.words.clock import SystemClock
from gateway.words.identifiers import new_name
from gateway.words.money import Money
from gateway.words.purposes import Purpose

NUMBER = "4242424242424242"
REQUEST_ID = "6f2c1d4e-8a3b-4c5d-9e7f-0a1b2c3d4e5f"
OTHER_ID = "7f2c1d4e-8a3b-4c5d-9e7f-0a1b2c3d4e5f"
# Not random: workers that share the tests must give them the same names.
TOKEN = "card_" + "b" * 31
PAYMENT = "pay_" + "b" * 31
CALLER = Caller("spiffe://bailee.test/caller/billing", frozenset(Role), None)
NOW = datetime(2026, 11, 25, 12, 0, 0, 123000, tzinfo=UTC)

TokenizeCard = vault_service_pb2.TokenizeCardRequest
DeleteCardToken = vault_service_pb2.DeleteCardTokenRequest
GetCardToken = vault_service_pb2.GetCardTokenRequest
ListSealingKeys = vault_service_pb2.ListSealingKeysRequest
CreatePayment = payment_service_pb2.CreatePaymentRequest
ConfirmPayment = payment_service_pb2.ConfirmPaymentRequest
CapturePayment = payment_service_pb2.CapturePaymentRequest
CancelPayment = payment_service_pb2.CancelPaymentRequest
RefundPayment = payment_service_pb2.RefundPaymentRequest
GetPayment = payment_service_pb2.GetPaymentRequest
ListPayments = payment_service_pb2.ListPaymentsRequest
GetRefund = payment_service_pb2.GetRefundRequest
ListRefunds = payment_service_pb2.ListRefundsRequest
ListPaymentEvents = payment_service_pb2.ListPaymentEventsRequest
SealedCard = card_pb2.SealedCard


class Keys:
    """The part of a key provider that servicers use."""

    def mac_key(self, label):
        return label.encode().ljust(32, b".")

    def sealing_keys(self, now):
        return []


class UseCase:
    """Keeps what it is asked for and ends the call."""

    def __init__(self):
        self.asked = []

    async def execute(self, command):
        self.asked.append(command)
        raise PaymentNotFound

    async def get(self, merchant, token):
        self.asked.append((merchant, token))
        raise CardTokenNotFound

    def __getattr__(self, name):
        async def find(*asked):
            self.asked.append((name, *asked))
            raise PaymentNotFound

        return find


class Site:
    """Both servicers with one use case behind all of their RPCs."""

    def __init__(self):
        self.use_case = UseCase()
        digests = RequestDigests(Keys())
        vault = VaultServicer(
            tokenize_card=self.use_case,
            batch_tokenize_cards=self.use_case,
            read_card_tokens=self.use_case,
            delete_card_token=self.use_case,
            provider=Keys(),
            pages=PageTokens(Keys()),
            digests=digests,
            clock=SystemClock(),
        )
        payments = PaymentServicer(
            create_payment=self.use_case,
            confirm_payment=self.use_case,
            capture_payment=self.use_case,
            cancel_payment=self.use_case,
            refund_payment=self.use_case,
            read_payments=self.use_case,
            refresh_payment=self.use_case,
            list_payments=self.use_case,
            read_events=self.use_case,
            digests=digests,
            page_tokens=PageTokens(Keys()),
        )
        self.rpcs = {
            TokenizeCard: vault.TokenizeCard,
            DeleteCardToken: vault.DeleteCardToken,
            GetCardToken: vault.GetCardToken,
            ListSealingKeys: vault.ListSealingKeys,
            CreatePayment: payments.CreatePayment,
            ConfirmPayment: payments.ConfirmPayment,
            CapturePayment: payments.CapturePayment,
            CancelPayment: payments.CancelPayment,
            RefundPayment: payments.RefundPayment,
            GetPayment: payments.GetPayment,
            ListPayments: payments.ListPayments,
            GetRefund: payments.GetRefund,
            ListRefunds: payments.ListRefunds,
            ListPaymentEvents: payments.ListPaymentEvents,
        }

    def call(self, request):
        """Runs the RPC of this request up to its use case; returns the error."""
        return copy_context().run(self._call, request)

    def _call(self, request):
        set_caller(CALLER)
        running = self.rpcs[type(request)](request, None)
        try:
            running.send(None)
        except StopIteration:
            return None
        except GatewayError as error:
            return error
        raise AssertionError("the RPC waits for something")

    def read(self, request):
        """Returns the command that the request became."""
        error = self.call(request)
        if not self.use_case.asked:
            raise AssertionError(f"not read: {error.reason} {vars(error)}")
        return self.use_case.asked.pop()


def tokenize(**changes):
    facts = {
        "merchant": "shop",
        "request_id": REQUEST_ID,
        "card": card_pb2.CardInput(sealed=SealedCard(key_id="k", ciphertext=b"c")),
    }
    return TokenizeCard(**facts | changes)


def charge(**changes):
    facts = {
        "merchant": "shop",
        "request_id": REQUEST_ID,
        "card_token": TOKEN,
        "amount": money_pb2.Money(minor_units=100, currency="USD"),
        "purpose": purpose_pb2.PURPOSE_PAYMENT_CUSTOMER_INITIATED,
    }
    return CreatePayment(**facts | changes)


def charge_new(**changes):
    return charge(**{"card": tokenize().card, "card_token": None} | changes)


def capture(**changes):
    facts = {"merchant": "shop", "request_id": REQUEST_ID, "payment": PAYMENT}
    return CapturePayment(**facts | changes)


def refund(**changes):
    facts = {"merchant": "shop", "request_id": REQUEST_ID, "payment": PAYMENT}
    return RefundPayment(**facts | changes)


def money(minor_units, currency="USD"):
    return money_pb2.Money(minor_units=minor_units, currency=currency)


@pytest.fixture
def site():
    return Site()


class TestReading:
    def test_makes_a_command_of_tokenize_card(self, site):
        command = site.read(tokenize(customer_reference="c-1"))

        assert command.merchant == "shop"
        assert command.caller == CALLER.spiffe_id
        assert command.form == SealedForm("k", b"c")
        assert command.mandate == Mandate()
        assert command.customer_reference == "c-1"

    def test_makes_a_command_of_create_payment(self, site):
        command = site.read(
            charge(
                capture_method=payment_service_pb2.CAPTURE_METHOD_MANUAL,
                metadata={"k": "v"},
                return_url="https://shop.test/back?x=1",
                security_code=card_pb2.SealedSecurityCode(key_id="k", ciphertext=b"c"),
            )
        )

        assert (command.card, command.purpose) == (TOKEN, Purpose.CUSTOMER_INITIATED)
        assert command.amount == Money(100, "USD")
        assert not command.capture_automatically
        assert command.metadata == {"k": "v"}
        assert command.return_url == "https://shop.test/back?x=1"
        assert command.security_code == SealedForm("k", b"c")

    def test_captures_automatically_unless_told_otherwise(self, site):
        automatic = payment_service_pb2.CAPTURE_METHOD_AUTOMATIC

        assert site.read(charge()).capture_automatically
        assert site.read(charge(capture_method=automatic)).capture_automatically

    @pytest.mark.parametrize("make", [capture, refund])
    def test_takes_all_when_no_amount_is_given(self, site, make):
        assert site.read(make()).amount is None
        assert site.read(make(amount=money(7))).amount == Money(7, "USD")

    @pytest.mark.parametrize(
        ("by", "value", "asked"),
        [
            ("payment", PAYMENT, "by_name"),
            ("request_id", REQUEST_ID, "by_request_id"),
            ("charge_once_key", "invoice-1", "by_charge_once_key"),
            ("processor_object", "pi_1", "by_processor_object"),
        ],
    )
    def test_finds_a_payment_by_each_of_its_names(self, site, by, value, asked):
        request = GetPayment(merchant="shop", **{by: value})

        assert site.read(request) == (asked, "shop", value)

    def test_does_not_show_a_plain_card_in_a_repr(self, site):
        card = card_pb2.PlainCard(
            number=NUMBER,
            expiry_month=12,
            expiry_year=2030,
            security_code="987",
            billing=card_pb2.BillingDetails(name="Marked Holder"),
        )
        command = site.read(tokenize(card=card_pb2.CardInput(plain=card)))

        assert isinstance(command.form, PlainForm)
        assert (command.form.number, command.form.security_code) == (NUMBER, "987")
        assert command.form.billing.name == "Marked Holder"
        for secret in (NUMBER, "987", "Holder"):
            assert secret not in repr(command)


WRONG = [
    (tokenize(merchant=""), "merchant"),
    (tokenize(merchant="gateway"), "merchant"),
    (tokenize(request_id=""), "request_id"),
    (tokenize(request_id=REQUEST_ID.upper()), "request_id"),
    (tokenize(request_id="6f2c1d4e-8a3b-1c5d-9e7f-0a1b2c3d4e5f"), "request_id"),
    (tokenize(card=None), "card"),
    (tokenize(card=card_pb2.CardInput()), "card"),
    (tokenize(card=card_pb2.CardInput(sealed=SealedCard(key_id="k"))),
     "card.sealed.ciphertext"),
    (tokenize(card=card_pb2.CardInput(sealed=SealedCard(ciphertext=b"c"))),
     "card.sealed.key_id"),
    (tokenize(card=card_pb2.CardInput(
        sealed=SealedCard(key_id="k", ciphertext=bytes(8192)))),
     "card.sealed.ciphertext"),
    (tokenize(mandate=purpose_pb2.Mandate(purposes=[0])), "mandate.purposes[0]"),
    (tokenize(mandate=purpose_pb2.Mandate(purposes=[1, 99])), "mandate.purposes[1]"),
    (tokenize(mandate=purpose_pb2.Mandate(
        purposes=[purpose_pb2.PURPOSE_MARKETING])), "mandate.purposes"),
    (tokenize(mandate=purpose_pb2.Mandate(
        purposes=[purpose_pb2.PURPOSE_ERASURE])), "mandate.purposes"),
    (tokenize(mandate=purpose_pb2.Mandate(
        expire_time=Timestamp(seconds=-1))), "mandate.expire_time"),
    (tokenize(mandate=purpose_pb2.Mandate(
        expire_time=Timestamp(seconds=2**62))), "mandate.expire_time"),
    (tokenize(mandate=purpose_pb2.Mandate(
        expire_time=Timestamp(nanos=-1))), "mandate.expire_time"),
    (charge(card_token=None), "card_token"),
    (charge(amount=None), "amount"),
    (charge(amount=money(0)), "amount.minor_units"),
    (charge(amount=money(-1)), "amount.minor_units"),
    (charge(amount=money(2**63 - 1)), "amount.minor_units"),
    (charge(amount=money(1, "usd")), "amount.currency"),
    (charge(amount=money(1, "")), "amount.currency"),
    (charge(amount=money(1, "XAU")), "amount.currency"),
    (charge(purpose=0), "purpose"),
    (charge(purpose=99), "purpose"),
    (charge(capture_method=99), "capture_method"),
    (charge(security_code=card_pb2.SealedSecurityCode()), "security_code.ciphertext"),
    (charge(metadata={"": "v"}), "metadata.key"),
    (charge(metadata={str(item): "" for item in range(21)}), "metadata"),
    (charge(customer_reference="c-1"), "customer_reference"),
    (charge(mandate=purpose_pb2.Mandate()), "mandate"),
    (charge(return_url="javascript:alert(1)"), "return_url"),
    (charge(return_url="https://"), "return_url"),
    (charge(return_url="//shop.test"), "return_url"),
    (charge(return_url="https://shop.test/a b"), "return_url"),
    (charge(return_url="https://[::1"), "return_url"),
    (charge(return_url="https://\u0455hop.test"), "return_url"),
    (charge(return_url="https://shop.test/?q=4242%204242%204242%204242"), "return_url"),
    (capture(amount=money(0)), "amount.minor_units"),
    (refund(amount=money(-5)), "amount.minor_units"),
    (GetPayment(merchant="shop"), "payment"),
    (GetPayment(merchant="shop", charge_once_key=""), "charge_once_key"),
    (GetPayment(merchant="shop", processor_object=""), "processor_object"),
    (GetPayment(merchant="shop", request_id="x"), "request_id"),
]  # fmt: skip


class TestWrongFields:
    @pytest.mark.parametrize(("request_", "field"), WRONG)
    def test_are_named(self, site, request_, field):
        error = site.call(request_)

        assert isinstance(error, RequestInvalid)
        assert error.field == field
        assert not site.use_case.asked

    @pytest.mark.parametrize("name", ["", "card_x", NUMBER, PAYMENT, TOKEN.upper()])
    def test_a_token_that_cannot_be_one_does_not_exist(self, site, name):
        requests = (
            GetCardToken(merchant="shop", card_token=name),
            DeleteCardToken(merchant="shop", request_id=REQUEST_ID, card_token=name),
            charge(card_token=name),
        )
        for request in requests:
            assert site.call(request).reason is Reason.CARD_TOKEN_NOT_FOUND
        assert not site.use_case.asked

    @pytest.mark.parametrize("name", ["", "pay_x", NUMBER, TOKEN])
    def test_a_payment_that_cannot_be_one_does_not_exist(self, site, name):
        requests = (
            capture(payment=name),
            refund(payment=name),
            CancelPayment(merchant="shop", request_id=REQUEST_ID, payment=name),
            GetPayment(merchant="shop", payment=name),
        )
        for request in requests:
            assert site.call(request).reason is Reason.PAYMENT_NOT_FOUND
        assert not site.use_case.asked


# Field, how to set it, and the most characters that the API's comments allow.
TEXTS = [
    ("customer_reference", lambda text: tokenize(customer_reference=text), 255),
    ("customer_reference", lambda text: charge_new(customer_reference=text), 255),
    ("mandate.agreement_reference", lambda text: tokenize(
        mandate=purpose_pb2.Mandate(agreement_reference=text)), 255),
    ("charge_once_key", lambda text: charge(charge_once_key=text), 255),
    ("merchant_reference", lambda text: charge(merchant_reference=text), 255),
    ("description", lambda text: charge(description=text), 500),
    ("statement_descriptor_suffix",
     lambda text: charge(statement_descriptor_suffix=text), 22),
    ("metadata.key", lambda text: charge(metadata={text: "v"}), 40),
    ("metadata.value", lambda text: charge(metadata={"k": text}), 200),
    ("processor_account", lambda text: charge(processor_account=text), 64),
    ("reason", lambda text: refund(reason=text), 255),
    ("charge_once_key", lambda text: GetPayment(
        merchant="shop", charge_once_key=text), 255),
    ("processor_object", lambda text: GetPayment(
        merchant="shop", processor_object=text), 255),
]  # fmt: skip


@pytest.mark.parametrize(("field", "make", "longest"), TEXTS)
class TestTexts:
    def test_may_be_as_long_as_documented(self, site, field, make, longest):
        site.read(make("\u00e9" * longest))

        error = site.call(make("x" * (longest + 1)))
        assert error.field == field
        assert not site.use_case.asked

    def test_refuse_card_numbers_and_do_not_repeat_them(
        self, site, field, make, longest
    ):
        """covers: I1, for every text that we store or echo."""
        for text in (NUMBER, "4242 4242 4242 4242", "4242-4242-4242-4242"):
            error = site.call(make(text))

            assert isinstance(error, RequestInvalid)
            assert error.field == field
            assert "4242" not in f"{error.field}{error.description}{error.metadata}"
        assert not site.use_case.asked

    def test_refuse_control_characters(self, site, field, make, longest):
        for text in ("a\nb", "a\x00b", "a\x1b[2Jb", "a\u2028b"):
            assert site.call(make(text)).field == field


class TestPurposes:
    def test_are_the_same_list_on_both_sides(self):
        names = {
            f"PURPOSE_{purpose.value.upper().replace('.', '_')}" for purpose in Purpose
        }
        assert names | {"PURPOSE_UNSPECIFIED"} == set(purpose_pb2.Purpose.keys())

    @pytest.mark.parametrize("purpose", Purpose)
    def test_come_back_as_they_went(self, purpose):
        number = vault_messages.show_purpose(purpose)

        assert vault_messages.read_purpose("purpose", number) is purpose
        name = purpose_pb2.Purpose.Name(number)
        assert name == f"PURPOSE_{purpose.value.upper().replace('.', '_')}"

    def test_of_a_mandate_come_back_as_they_went(self, site):
        message = purpose_pb2.Mandate(
            purposes=[purpose_pb2.PURPOSE_PAYMENT_RECURRING],
            agreement_reference="contract 7",
        )
        message.expire_time.FromDatetime(NOW)
        mandate = site.read(tokenize(mandate=message)).mandate

        assert mandate.purposes == {Purpose.RECURRING}
        assert mandate.expires_at == NOW
        assert vault_messages.show_mandate(mandate) == message

    def test_left_out_mean_the_default_ones(self, site):
        mandate = site.read(tokenize(mandate=purpose_pb2.Mandate())).mandate

        assert mandate.purposes == DEFAULT_PURPOSES


class TestDigests:
    @pytest.fixture
    def digests(self):
        return RequestDigests(Keys())

    def test_do_not_depend_on_the_request_id(self, digests):
        """It is what they are looked up by."""
        one, two = tokenize(), tokenize(request_id=OTHER_ID)

        assert digests.of("TokenizeCard", one) == digests.of("TokenizeCard", two)

    def test_never_depend_on_a_security_code(self, digests):
        """covers: I4. A digest of a security code would be a copy of it."""
        plain = card_pb2.PlainCard(number=NUMBER, security_code="123")
        one = charge_new(card=card_pb2.CardInput(plain=plain))
        plain.security_code = "987"
        two = charge_new(card=card_pb2.CardInput(plain=plain))
        two.security_code.CopyFrom(card_pb2.SealedSecurityCode(key_id="k"))

        assert digests.of("CreatePayment", one) == digests.of("CreatePayment", two)

    def test_leave_the_request_as_it_was(self, digests):
        request = charge_new(
            card=card_pb2.CardInput(plain=card_pb2.PlainCard(security_code="123"))
        )
        before = request.SerializeToString()
        digests.of("CreatePayment", request)

        assert request.SerializeToString() == before

    def test_depend_on_everything_else(self, digests):
        requests = [
            charge(),
            charge(merchant="other"),
            charge(card_token="x"),
            charge(amount=money(101)),
            charge(purpose=2),
            charge(charge_once_key="k"),
            charge(description="d"),
            charge(metadata={"a": "b"}),
            charge(metadata={"a": "c"}),
            charge_new(),
            charge_new(card=tokenize(card=card_pb2.CardInput(
                sealed=SealedCard(key_id="k", ciphertext=b"d"))).card),
        ]  # fmt: skip
        found = {digests.of("CreatePayment", request) for request in requests}

        assert len(found) == len(requests)

    def test_do_not_depend_on_the_order_of_metadata(self, digests):
        names = [f"key-{item}" for item in range(20)]
        one = charge(metadata=dict.fromkeys(names, "v"))
        two = charge(metadata=dict.fromkeys(reversed(names), "v"))

        assert digests.of("CreatePayment", one) == digests.of("CreatePayment", two)

    def test_differ_between_merchants_and_rpcs(self, digests):
        other = Keys()
        other.mac_key = lambda label: b"another key".ljust(32)

        assert digests.of("A", capture()) != digests.of("B", capture())
        assert digests.of("A", capture()) != RequestDigests(other).of("A", capture())

    def test_need_a_merchant(self, digests):
        with pytest.raises(RequestInvalid):
            digests.of("CapturePayment", capture(merchant="No Merchant"))


def a_payment(**changes):
    facts = {
        "name": PAYMENT,
        "request_id": REQUEST_ID,
        "state": PaymentState.CAPTURED,
        "step": Step.DONE,
        "amount": Money(100, "JPY"),
        "card": TOKEN,
        "purpose": Purpose.RECURRING,
        "capture_automatically": True,
        "account_id": "acct",
        "created_at": NOW,
        "updated_at": NOW + timedelta(seconds=1),
        "caller": CALLER.spiffe_id,
        "captured": 100,
        "refunded": 30,
        "refund_pending": 5,
        "customer": "marked-customer",
        "network_transaction_id": "marked-network",
    }
    return Payment(**facts | changes)


def a_move(kind, **changes):
    facts = {
        "name": new_name("ref"),
        "kind": kind,
        "payment": PAYMENT,
        "request_id": REQUEST_ID,
        "status": MoveStatus.SUCCEEDED,
        "amount": Money(5, "JPY"),
        "created_at": NOW,
        "updated_at": NOW,
        "caller": CALLER.spiffe_id,
        "reason": "too much",
    }
    return Move(**facts | changes)


class TestShowing:
    @pytest.mark.parametrize("state", PaymentState)
    def test_has_a_word_for_every_state(self, state):
        shown = payment_messages.show_payment(a_payment(state=state))

        assert payment_pb2.Payment.State.Name(shown.state) == f"STATE_{state.name}"

    def test_has_no_state_that_no_payment_can_have(self):
        names = {f"STATE_{state.name}" for state in PaymentState}

        assert names | {"STATE_UNSPECIFIED"} == set(payment_pb2.Payment.State.keys())

    @pytest.mark.parametrize("status", MoveStatus)
    def test_has_a_word_for_every_status(self, status):
        refund_ = payment_messages.show_refund(a_move(MoveKind.REFUND, status=status))
        capture_ = payment_messages.show_capture(
            a_move(MoveKind.CAPTURE, status=status)
        )

        assert payment_pb2.Refund.State.Name(refund_.state) == f"STATE_{status.name}"
        assert payment_pb2.Capture.State.Name(capture_.state) == f"STATE_{status.name}"

    @pytest.mark.parametrize("kind", DeclineClass)
    @pytest.mark.parametrize("retry", RetryAdvice)
    def test_has_a_word_for_every_decline(self, kind, retry):
        decline = Decline(
            reason="OTHER", decline_class=kind, retry=retry, processor_code="05"
        )
        shown = payment_messages.show_decline(decline)

        shown_class = getattr(shown, "class")
        assert payment_pb2.Decline.Class.Name(shown_class) == f"CLASS_{kind.name}"
        assert payment_pb2.Decline.Retry.Name(shown.retry) == f"RETRY_{retry.name}"
        assert (shown.reason, shown.processor_code) == ("OTHER", "05")

    def test_gives_every_amount_its_currency(self):
        shown = payment_messages.show_payment(a_payment())

        amounts = [shown.amount, shown.authorized, shown.capturable, shown.captured]
        amounts += [shown.refunded, shown.refund_pending, shown.disputed]
        assert {item.currency for item in amounts} == {"JPY"}
        assert [item.minor_units for item in amounts] == [100, 0, 0, 100, 30, 5, 0]

    def test_keeps_times(self):
        shown = payment_messages.show_payment(a_payment(capture_before=NOW))

        assert shown.create_time.ToDatetime(UTC) == NOW
        assert shown.update_time.ToDatetime(UTC) == NOW + timedelta(seconds=1)
        assert shown.capture_before.ToDatetime(UTC) == NOW
        assert not payment_messages.show_payment(a_payment()).HasField("capture_before")

    def test_leaves_out_what_only_the_processor_knows_us_by(self):
        assert "marked" not in str(payment_messages.show_payment(a_payment()))

    def test_sends_to_an_address_only_while_there_is_something_to_do(self):
        url = "https://bank.test/3ds"
        waiting = a_payment(state=PaymentState.REQUIRES_ACTION, redirect_url=url)
        done = replace(waiting, state=PaymentState.CAPTURED)

        assert payment_messages.show_payment(waiting).next_action.redirect_url == url
        assert not payment_messages.show_payment(done).HasField("next_action")


SITE = Site()
MESSAGES = sorted(SITE.rpcs, key=lambda kind: kind.DESCRIPTOR.name)
NEARLY = st.one_of(
    st.sampled_from(
        ["", "shop", "gateway", REQUEST_ID, TOKEN, PAYMENT, NUMBER, "USD", "https://a"]
    ),
    st.text(max_size=300),
)


def nearly_right(data, message, depth=0):
    """Fills some fields of a message, lists and maps too, with values that may fit."""
    for field in message.DESCRIPTOR.fields:
        if not data.draw(st.booleans()):
            continue
        if field.message_type and field.message_type.GetOptions().map_entry:
            entries = data.draw(st.dictionaries(NEARLY, NEARLY, max_size=3))
            getattr(message, field.name).update(entries)
        elif field.is_repeated:
            numbers = st.lists(st.integers(-1, 110), max_size=4)
            getattr(message, field.name).extend(data.draw(numbers))
        elif field.message_type:
            getattr(message, field.name).SetInParent()
            if depth < 3:
                nearly_right(data, getattr(message, field.name), depth + 1)
        else:
            setattr(message, field.name, data.draw(value_of(field)))


def value_of(field):
    kinds = {
        field.TYPE_STRING: NEARLY,
        field.TYPE_BYTES: st.binary(max_size=80),
        field.TYPE_ENUM: st.integers(-1, 110),
        field.TYPE_BOOL: st.booleans(),
        field.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
        field.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    }
    return kinds[field.type]


def check_outcome(request):
    """A call ends with a reason that we foresaw, and echoes no card number."""
    error = SITE.call(request)
    SITE.use_case.asked.clear()
    if error is not None:
        assert error.reason not in (Reason.INTERNAL, Reason.INTEGRITY_VIOLATION)
        assert NUMBER not in f"{vars(error)}{error}"


class TestAnyInput:
    @given(st.data())
    def test_that_is_nearly_right_has_a_foreseen_outcome(self, data):
        request = data.draw(st.sampled_from(MESSAGES))()
        nearly_right(data, request)

        check_outcome(request)

    @given(st.sampled_from(MESSAGES), st.binary(max_size=200))
    def test_of_random_bytes_is_malformed_or_has_a_foreseen_outcome(self, kind, raw):
        try:
            request = kind.FromString(raw)
        except DecodeError:
            return
        check_outcome(request)

    @given(st.sampled_from([tokenize(), charge(), charge_new(), refund()]), st.data())
    def test_with_flipped_bits_has_a_foreseen_outcome(self, request, data):
        raw = bytearray(request.SerializeToString())
        for _ in range(data.draw(st.integers(1, 4))):
            place = data.draw(st.integers(0, len(raw) - 1))
            raw[place] ^= 1 << data.draw(st.integers(0, 7))
        try:
            damaged = type(request).FromString(bytes(raw))
        except DecodeError:
            return
        check_outcome(damaged)
