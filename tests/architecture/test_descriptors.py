"""What the API's own description promises, whatever the code does.

covers: I1 (no answer has a field that could carry a card), and the conventions of the
API: merchant, request_id, roles, enums.
"""

import importlib
import re
from pathlib import Path

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from gateway.rpc.authorization import (
    NAME_NO_MERCHANT,
    OPEN_TO_EVERY_CALLER,
    ROLES,
)
from gateway.words.callers import Role

PROTOS = sorted(Path(__file__).parents[2].glob("proto/bailee/v1/*.proto"))
FILES = [
    importlib.import_module(f"bailee.v1.{path.stem}_pb2").DESCRIPTOR for path in PROTOS
]
METHODS = [
    method
    for file in FILES
    for service in file.services_by_name.values()
    for method in service.methods
]

# What an answer must never have: as a whole name, and as one word of a name.
FORBIDDEN_WORDS = set(
    "number pan cvc cvv cvv2 csc security code track pin billing holder cardholder "
    "address line1 line2 street city region state_province postal zip email mail phone "
    "telephone fingerprint bin iin secret credential ciphertext plain sealed".split()
)
FORBIDDEN_TYPES = {
    f"bailee.v1.{name}"
    for name in (
        "CardInput",
        "PlainCard",
        "SealedCard",
        "SealedBatch",
        "SealedSecurityCode",
        "BillingDetails",
    )
}
# A field that has a forbidden word and still carries no card: why.
EXPLAINED = {
    "bailee.v1.Decline.processor_code",  # the processor's own code of a decline
    "bailee.v1.CardToken.pan_held",  # yes or no
    "bailee.v1.ItemError.code",  # the number of a gRPC code
    "bailee.v1.ListSealingKeysResponse.sealing_keys",  # public keys
    "bailee.v1.MerchantSettings.show_bin",  # yes or no
    "bailee.v1.MerchantSettings.show_fingerprint",  # yes or no
}
# Every text and byte field that any answer has. A new one needs a line here, and a
# thought about what a careless or hostile program could put into it.
CARRIERS = """
    Caller.merchants Caller.name
    Capture.failure_reason Capture.name Capture.payment
    CardToken.brand CardToken.customer_reference CardToken.last_four CardToken.name
    CardToken.processor_accounts
    CreatePaymentResponse.warnings
    Decline.processor_code Decline.reason
    ItemError.MetadataEntry.key ItemError.MetadataEntry.value ItemError.description
    ItemError.field ItemError.message ItemError.reason
    ListCardTokensResponse.next_page_token
    ListPaymentsResponse.next_page_token ListRefundsResponse.next_page_token
    IssueCertificateResponse.certificate IssueCertificateResponse.identity_key
    IssueCertificateResponse.log_key IssueCertificateResponse.server_authority
    IssueCertificateResponse.vault_id
    ListCallersResponse.next_page_token
    ListMerchantsResponse.next_page_token
    GetCheckpointResponse.checkpoint GetConsistencyProofResponse.checkpoint
    GetConsistencyProofResponse.hashes
    LogEntry.entry
    OperatorCommitment.checkpoint_text OperatorCommitment.hashes
    OperatorCommitment.salt
    Mandate.agreement_reference
    Merchant.display_name Merchant.log_origin Merchant.name
    Money.currency
    NextAction.redirect_url
    ListPaymentEventsResponse.next_cursor WatchPaymentEventsResponse.cursor
    PaymentEvent.payment
    Payment.card_token Payment.charge_once_key Payment.description
    Payment.failure_reason Payment.MetadataEntry.key Payment.MetadataEntry.value
    Payment.merchant_reference Payment.name Payment.processor_account
    Payment.processor_object Payment.statement_descriptor_suffix
    GetPolicyResponse.document Policy.name Policy.sha256
    PublishPolicyResponse.narrowings PublishPolicyResponse.sha256
    PublishPolicyResponse.widenings
    Receipt.card_salt Receipt.entry Receipt.object_salt Receipt.proof
    Refund.failure_reason Refund.name Refund.payment Refund.processor_object
    Refund.reason
    SealingKey.key_id SealingKey.public_key SealingKey.signature
    TokenizeCardResponse.warnings
""".split()


def fields_of(message, seen=None):
    """Returns every field that a message can carry, at any depth."""
    seen = {} if seen is None else seen
    if message.full_name in seen:
        return []
    seen[message.full_name] = True
    found = list(message.fields)
    for field in message.fields:
        if field.message_type is not None:
            found += fields_of(field.message_type, seen)
    return found


def all_messages():
    waiting = [m for file in FILES for m in file.message_types_by_name.values()]
    while waiting:
        message = waiting.pop()
        waiting += message.nested_types
        yield message


def all_enums():
    for file in FILES:
        yield from file.enum_types_by_name.values()
    for message in all_messages():
        yield from message.enum_types


def response_fields():
    return {
        field.full_name: field
        for method in METHODS
        for field in fields_of(method.output_type)
    }


def changes_something(method):
    level = method.GetOptions().idempotency_level
    return level != MethodOptions.NO_SIDE_EFFECTS


def path_of(method):
    return f"/{method.containing_service.full_name}/{method.name}"


def by_name(method):
    return method.name


class TestResponses:
    def test_are_looked_at(self):
        """The walk is deep: it reaches what lies three messages down."""
        assert len(METHODS) >= 16
        assert len(METHODS) >= 18
        assert "bailee.v1.Money.currency" in response_fields()

    @pytest.mark.parametrize("name", sorted(response_fields()))
    def test_have_no_field_named_like_card_data(self, name):
        words = set(name.rsplit(".", 1)[-1].split("_"))

        assert not words & FORBIDDEN_WORDS or name in EXPLAINED

    def test_have_no_field_of_a_type_that_holds_a_card(self):
        types = {
            field.message_type.full_name
            for field in response_fields().values()
            if field.message_type is not None
        }
        assert not types & FORBIDDEN_TYPES

    def test_have_no_text_that_nobody_thought_about(self):
        texts = {
            name
            for name, field in response_fields().items()
            if field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)
            and name.startswith("bailee.")
        }
        assert texts == {f"bailee.v1.{name}" for name in CARRIERS}

    def test_hold_no_message_that_can_hold_anything(self):
        types = {
            field.message_type.full_name
            for field in response_fields().values()
            if field.message_type is not None
        }
        foreign = {name for name in types if not name.startswith("bailee.v1.")}
        assert foreign == {"google.protobuf.Timestamp"}

    def test_explain_only_fields_that_exist(self):
        assert set(response_fields()) >= EXPLAINED


class TestRequests:
    @pytest.mark.parametrize("method", METHODS, ids=by_name)
    def test_name_the_merchant_first(self, method):
        fields = method.input_type.fields_by_name
        if path_of(method) in NAME_NO_MERCHANT:
            assert "merchant" not in fields
            return
        field = fields["merchant"]

        assert (field.type, field.number) == (FieldDescriptor.TYPE_STRING, 1)

    def test_that_name_no_merchant_are_few_and_exist(self):
        """Each shows only what its caller acts for; see its own test."""
        assert {path_of(method) for method in METHODS} >= NAME_NO_MERCHANT
        assert not any("Vault" in rpc or "Payment" in rpc for rpc in NAME_NO_MERCHANT)

    @pytest.mark.parametrize("method", METHODS, ids=by_name)
    def test_that_change_something_have_a_request_id(self, method):
        field = method.input_type.fields_by_name.get("request_id")

        if changes_something(method):
            place = 1 if path_of(method) in NAME_NO_MERCHANT else 2
            assert (field.type, field.number) == (FieldDescriptor.TYPE_STRING, place)
            assert field.containing_oneof is None

    @pytest.mark.parametrize("method", METHODS, ids=by_name)
    def test_belong_to_one_rpc(self, method):
        assert method.input_type.name == f"{method.name}Request"
        assert method.output_type.name == f"{method.name}Response"

    @pytest.mark.parametrize("name", ["PlainCard", "BillingDetails"])
    def test_mark_card_data_as_sensitive(self, name):
        [message] = [item for item in all_messages() if item.name == name]

        assert message.fields
        for field in message.fields:
            assert field.GetOptions().debug_redact, field.full_name

    def test_mark_every_text_that_is_named_like_card_data(self):
        sensitive = {"number", "security_code", "pan", "cvc", "email", "phone"}
        for message in all_messages():
            for field in message.fields:
                is_text = field.type == FieldDescriptor.TYPE_STRING
                if is_text and field.name in sensitive:
                    assert field.GetOptions().debug_redact, field.full_name


class TestRpcs:
    def test_have_a_row_each_and_no_row_is_left_over(self):
        assert {path_of(method) for method in METHODS} == set(ROLES)

    def test_need_a_role(self):
        assert all(roles and roles <= frozenset(Role) for roles in ROLES.values())

    def test_are_not_open_unless_they_are_health(self):
        assert all("grpc.health.v1.Health/" in rpc for rpc in OPEN_TO_EVERY_CALLER)
        assert not OPEN_TO_EVERY_CALLER & set(ROLES)

    def test_that_change_something_need_a_role_for_it(self):
        """Reading roles change nothing, and operators touch no card and no money."""
        for method in METHODS:
            if changes_something(method):
                roles, rpc = ROLES[path_of(method)], path_of(method)
                assert not roles & {Role.READ, Role.AUDITOR}, rpc
                if "VaultService" in rpc or "PaymentService" in rpc:
                    assert Role.OPERATOR not in roles, rpc

    def test_say_in_the_api_who_may_call_them(self):
        """The comment in the proto and the table agree."""
        text = "".join(path.read_text("utf-8") for path in PROTOS)
        for method in METHODS:
            comment = re.search(
                rf"((?://[^\n]*\n\s*)+)rpc {method.name}\(", text
            ).group(1)
            roles = ROLES[path_of(method)]
            if roles == frozenset(Role):
                assert "Any role." in comment
                continue
            named = re.search(r"Role:([^.]*)\.", comment).group(1)
            assert set(re.findall("|".join(Role), named)) == roles

    @pytest.mark.parametrize("method", METHODS, ids=by_name)
    def test_never_give_a_card_back(self, method):
        words = re.findall(r"[A-Z][a-z]+", method.name)

        assert not set(words) & {"Detokenize", "Reveal", "Export", "Decrypt", "Unseal"}


class TestEnums:
    @pytest.mark.parametrize("enum", list(all_enums()), ids=lambda enum: enum.full_name)
    def test_have_an_unspecified_zero(self, enum):
        assert enum.values_by_number[0].name.endswith("_UNSPECIFIED")
