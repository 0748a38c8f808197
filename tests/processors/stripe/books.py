"""The stand-in's books: customers, cards, payments and refunds, and Stripe's rules.

It knows nothing of HTTP, faults or idempotency; see stand_in.py for those.
"""

import secrets
import string
from dataclasses import dataclass, field

from tests.processors.stripe import cards as published
from tests.processors.stripe.records import Card, Intent, codes_of
from tests.processors.stripe.shapes import error_body, shape

_LETTERS = string.ascii_letters + string.digits
_MINIMUM = 50
_HUNDREDS = ("isk", "ugx")
_TENS = ("bhd", "jod", "kwd", "omr", "tnd")


class Refused(Exception):
    """An answer that is not 200."""

    def __init__(self, status, message, *, kind="invalid_request_error", **values):
        super().__init__(message)
        self.status = status
        self.body = error_body(kind, message, **values)


@dataclass
class Books:
    """Everything that this Stripe account holds."""

    now: object
    customers: dict = field(default_factory=dict)
    cards: dict = field(default_factory=dict)
    intents: dict = field(default_factory=dict)
    refunds: dict = field(default_factory=dict)
    next_refusal: published.BankAnswer | None = None
    next_attach_refusal: published.BankAnswer | None = None
    next_refund_status: str = "succeeded"
    raw_cards_enabled: bool = True
    page_max: int = 100

    # Customers and cards

    def create_customer(self, params):
        """POST /v1/customers."""
        name = _name("cus")
        self.customers[name] = params.get("metadata", {})
        return shape("customer", id=name, metadata=self.customers[name])

    def create_card(self, params):
        """POST /v1/payment_methods."""
        if not self.raw_cards_enabled:
            # Stripe answers so, with 402 and without a code.
            raise Refused(
                402,
                "Sending credit card numbers directly to the Stripe API is generally "
                "unsafe. We suggest you use test tokens that map to the test card you "
                "are using, see https://stripe.com/docs/testing. To enable raw card "
                "data APIs in test mode, see https://support.stripe.com/questions/"
                "enabling-access-to-raw-card-data-apis.",
            )
        number = params["card"]["number"]
        if number == published.NUMBER_INCORRECT:
            raise Refused(
                402,
                "Your card number is incorrect.",
                kind="card_error",
                code="incorrect_number",
                param="number",
            )
        card = Card(id=_name("pm"), number=number)
        self.cards[card.id] = card
        return card.show(params)

    def attach_card(self, card_id, params):
        """POST /v1/payment_methods/{id}/attach."""
        card = self._card(card_id)
        self._customer(params["customer"])
        if card.used and card.customer is None:
            raise Refused(400, _USED_UP)
        if self.next_attach_refusal is not None:
            codes = codes_of(self.next_attach_refusal)
            raise Refused(402, "Your card was declined.", kind="card_error", **codes)
        card.customer = params["customer"]
        return card.show({})

    # Payments

    def create_intent(self, params):
        """POST /v1/payment_intents."""
        _check_intent(params)
        card = self._card(params["payment_method"])
        customer = params.get("customer")
        if customer:
            self._customer(customer)
        if card.customer is not None and card.customer != customer:
            raise Refused(
                400,
                "The PaymentMethod belongs to a Customer. Please include the Customer "
                "in the `customer` parameter on the PaymentIntent.",
                param="customer",
            )
        if card.used and card.customer is None:
            raise Refused(400, _USED_UP)
        intent = Intent(
            id=_name("pi"),
            amount=int(params["amount"]),
            currency=params["currency"],
            card=card,
            customer=customer,
            metadata=params.get("metadata", {}),
            created=self._time(),
            params=params,
        )
        self.intents[intent.id] = intent
        card.used = True
        self._confirm(intent)
        return intent.show(params.get("expand"))

    def _confirm(self, intent):
        params = intent.params
        waits = intent.card.number == published.AUTHENTICATE_ALWAYS
        refusal = self.next_refusal or published.DECLINES.get(intent.card.number)
        self.next_refusal = None
        if refusal is None and waits:
            alone = _is(params, "off_session") or _is(
                params, "error_on_requires_action"
            )
            if not alone:
                intent.status = "requires_action"
                return
            refusal = published.AUTHENTICATION_REQUIRED
        if refusal is not None:
            self._decline(intent, refusal)
            raise Refused(
                402,
                "Your card was declined.",
                kind="card_error",
                **codes_of(refusal),
                charge=intent.charge,
                payment_intent=intent.show(),
            )
        self._approve(intent)

    def _approve(self, intent):
        intent.charge = _name("ch")
        intent.refusal = None
        if intent.params.get("capture_method") == "manual":
            intent.status = "requires_capture"
        else:
            intent.status = "succeeded"
            intent.received = intent.amount
        if "setup_future_usage" in intent.params:
            intent.card.customer = intent.customer

    def _decline(self, intent, refusal):
        intent.charge = _name("ch")
        intent.status = "requires_payment_method"
        intent.refusal = refusal

    def authenticate(self, intent_id, *, succeeded):
        """What the cardholder does at the redirect address."""
        intent = self.intents[intent_id]
        if succeeded:
            self._approve(intent)
        else:
            self._decline(intent, published.AUTHENTICATION_FAILED)
            intent.charge = None

    def confirm(self, intent_id, params):
        """POST /v1/payment_intents/{id}/confirm."""
        intent = self._intent(intent_id)
        self._require(intent, "confirmed", "requires_action", "requires_payment_method")
        intent.attempts += 1
        intent.return_url = params["return_url"]
        return intent.show(params.get("expand"))

    def capture(self, intent_id, params):
        """POST /v1/payment_intents/{id}/capture."""
        intent = self._intent(intent_id)
        self._require(intent, "captured", "requires_capture")
        amount = int(params["amount_to_capture"])
        if amount > intent.amount:
            raise Refused(
                400,
                "The requested capture amount is greater than the amount you can "
                "capture for this charge.",
                code="amount_too_large",
                param="amount_to_capture",
            )
        intent.status = "succeeded"
        intent.received = amount
        return intent.show(params.get("expand"))

    def cancel(self, intent_id, params):
        """POST /v1/payment_intents/{id}/cancel."""
        intent = self._intent(intent_id)
        self._require(
            intent,
            "canceled",
            "requires_payment_method",
            "requires_capture",
            "requires_confirmation",
            "requires_action",
        )
        intent.status = "canceled"
        return intent.show(params.get("expand"))

    def retrieve(self, intent_id, params):
        """GET /v1/payment_intents/{id}."""
        return self._intent(intent_id).show(params.get("expand"))

    def list_intents(self, params):
        """GET /v1/payment_intents."""
        since = int(params.get("created", {}).get("gte", 0))
        until = int(params.get("created", {}).get("lt", 2**40))
        wanted = [
            intent
            for intent in reversed(self.intents.values())
            if intent.customer == params.get("customer", intent.customer)
            and since <= intent.created < until
        ]
        after = params.get("starting_after")
        if after:
            wanted = wanted[[intent.id for intent in wanted].index(after) + 1 :]
        return self._page(wanted, params)

    def search_intents(self, params):
        """GET /v1/payment_intents/search: one metadata clause."""
        field_name, _, value = params["query"].partition(":")
        key = field_name.removeprefix("metadata['").removesuffix("']")
        wanted = [
            intent
            for intent in self.intents.values()
            if intent.metadata.get(key) == value.strip("'")
        ]
        return self._page(wanted, params)

    def _page(self, wanted, params):
        limit = min(int(params.get("limit", 10)), self.page_max)
        expand = [each.removeprefix("data.") for each in params.get("expand", [])]
        return {
            "object": "list",
            "data": [intent.show(expand) for intent in wanted[:limit]],
            "has_more": len(wanted) > limit,
            "url": "/v1/payment_intents",
        }

    # Refunds

    def create_refund(self, params):
        """POST /v1/refunds."""
        intent = self._intent(params["payment_intent"])
        self._require(intent, "refunded", "succeeded")
        amount = int(params["amount"])
        if intent.refunded == intent.received:
            raise Refused(
                400,
                f"Charge {intent.charge} has already been refunded.",
                code="charge_already_refunded",
            )
        if amount > intent.received - intent.refunded:
            raise Refused(
                400,
                "Refund amount is greater than unrefunded amount on charge.",
                param="amount",
            )
        status = self.next_refund_status
        self.next_refund_status = "succeeded"
        if status != "failed":
            intent.refunded += amount
        name = _name("re")
        self.refunds[name] = amount
        return shape(
            "refund",
            id=name,
            amount=amount,
            currency=intent.currency,
            charge=intent.charge,
            payment_intent=intent.id,
            metadata=params.get("metadata", {}),
            status=status,
            failure_reason="lost_or_stolen_card" if status == "failed" else None,
        )

    # Looking up

    def _time(self):
        return int(self.now().timestamp())

    def _card(self, name):
        return _known(self.cards, name, "PaymentMethod", "payment_method")

    def _customer(self, name):
        return _known(self.customers, name, "customer", "customer")

    def _intent(self, name):
        return _known(self.intents, name, "payment_intent", "intent")

    def _require(self, intent, verb, *states):
        if intent.status not in states:
            raise Refused(
                400,
                f"This PaymentIntent could not be {verb} because it has a status of "
                f"{intent.status}.",
                code="payment_intent_unexpected_state",
                payment_intent=intent.show(),
            )


_USED_UP = (
    "The provided PaymentMethod was previously used with a PaymentIntent without "
    "Customer attachment, shared with a connected account without Customer attachment, "
    "or was detached from a Customer. It may not be used again. To use a PaymentMethod "
    "multiple times, you must attach it to a Customer first."
)


def _check_intent(params):
    """Stripe's rules that its types do not say."""
    amount, currency = int(params["amount"]), params["currency"]
    uneven = (currency in _HUNDREDS and amount % 100) or (
        currency in _TENS and amount % 10
    )
    if uneven:
        raise Refused(
            400,
            "Invalid amount.",
            code="invalid_charge_amount_no_decimal_compatible",
            param="amount",
        )
    if currency == "usd" and amount < _MINIMUM:
        raise Refused(
            400,
            "Amount must be at least $0.50 usd",
            code="amount_too_small",
            param="amount",
        )
    stores = "setup_future_usage" in params
    card_options = params.get("payment_method_options", {}).get("card", {})
    if stores and _is(params, "off_session"):
        raise Refused(
            400,
            "You cannot confirm with the `off_session` parameter when "
            "`setup_future_usage` is also set on the PaymentIntent because you cannot "
            "set up future usages when processing payments off-session.",
            param="off_session",
        )
    if stores and "stored_credential_usage" in card_options:
        raise Refused(400, "These parameters exclude each other.")
    if set(params.get("expand", [])) - {"latest_charge"}:
        raise Refused(400, "This property cannot be expanded.", param="expand")


def _is(params, name):
    return params.get(name) == "true"


def _known(table, name, what, param):
    if name not in table:
        raise Refused(
            404, f"No such {what}: '{name}'", code="resource_missing", param=param
        )
    return table[name]


def _name(prefix):
    return f"{prefix}_{''.join(secrets.choice(_LETTERS) for _ in range(24))}"
