"""The vault's calls of the leak test, beside those every charge needs."""

from bailee import CardItem, new_request_id
from bailee.v1 import card_pb2, vault_service_pb2


def drive_vault(client, seen, token, a_card):
    """The rest of the vault, answered and refused."""
    pb, number = vault_service_pb2, a_card.number

    def call(rpc, **fields):
        request_type = getattr(pb, f"{rpc}Request")
        request = request_type(merchant=client.merchant, **fields)
        return seen.call(client._call, getattr(client._connection.vault, rpc), request)

    cards = [CardItem(card=card) for card in (a_card, a_card)]
    for result in seen.call_all(client.batch_tokenize_cards, cards):
        assert result.tokenized.card_token.name
    plain = card_pb2.CardInput(
        plain=card_pb2.PlainCard(
            number=number + "1", expiry_month=12, expiry_year=2031, security_code="1234"
        )
    )
    for fields in ({"card": plain}, {"customer_reference": number}):
        item = pb.TokenizeCardItem(**fields)
        call("BatchTokenizeCards", request_id=new_request_id(), items=[item])
    call("BatchGetCardTokens", card_tokens=[token, number])
    call("ListCardTokens", page_size=1)
    for fields in (
        {"customer_reference": number},
        {"last_four": number},
        {"page_token": number},
    ):
        call("ListCardTokens", **fields)
