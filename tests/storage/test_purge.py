"""Erasing destroys the keys, and purging removes their bytes. covers: I10."""

from bailee import new_request_id
from bailee.v1 import card_pb2, purpose_pb2, vault_service_pb2

from tests.builders.gateway import running
from tests.builders.storage import SHOP
from tests.rpc.test_bad_input import charge, plain, refused, tokenize


async def a_token(site):
    granted = [purpose_pb2.PURPOSE_PAYMENT_CUSTOMER_INITIATED]
    request = tokenize(plain(), mandate=purpose_pb2.Mandate(purposes=granted))
    return (await site.vault.TokenizeCard(request)).card_token.name


def bytes_of(folder):
    return b"".join(
        file.read_bytes() for file in folder.glob("bailee.db*") if file.is_file()
    )


class TestErase:
    async def test_leaves_no_wrapped_key_in_any_file(self, tmp_path):
        async with running(tmp_path, accept_plain_cards=True) as site:
            token = await a_token(site)
            await site.payments.CreatePayment(charge(token))
            copies, card = await site.storage.read(
                SHOP, lambda unit: (unit.cards.keys(token), unit.cards.find(token))
            )
            secrets = [copy.wrapped for copy in copies] + [card.sealed]
            secrets.append(card.number_fingerprint)
            assert all(secret in bytes_of(tmp_path) for secret in secrets)

            answer = await site.vault.DeleteCardToken(erase(token))

            assert answer.card_token.state == card_pb2.CardToken.STATE_ERASED
            assert not answer.card_token.last_four
            assert not any(secret in bytes_of(tmp_path) for secret in secrets)

    async def test_leaves_a_card_that_no_purpose_opens(self, tmp_path):
        async with running(tmp_path, accept_plain_cards=True) as site:
            token = await a_token(site)
            await site.vault.DeleteCardToken(erase(token))

            error = await refused(site.payments.CreatePayment, charge(token))

            assert (error.reason, error.metadata["rule"]) == (
                "POLICY_DENIED",
                "card-erased",
            )

    async def test_unlinks_the_log_from_the_card_and_keeps_it_whole(self, tmp_path):
        async with running(tmp_path, accept_plain_cards=True) as site:
            token = await a_token(site)
            await site.vault.DeleteCardToken(erase(token))

            size = site.storage.stored_log(SHOP).size()
            receipts = await site.storage.read(
                SHOP, lambda unit: [unit.log.receipt(index) for index in range(size)]
            )

            assert [b'"card":' in item.entry for item in receipts].count(True) == 2
            assert all(item.card_salt is None for item in receipts)


def erase(token):
    return vault_service_pb2.DeleteCardTokenRequest(
        merchant=SHOP, request_id=new_request_id(), card_token=token
    )
