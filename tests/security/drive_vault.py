"""The vault's calls of the leak test, beside those every charge needs."""

from bailee.v1 import vault_service_pb2


def drive_vault(client, seen, token, number):
    """The rest of the vault, answered and refused."""
    pb = vault_service_pb2

    def call(rpc, **fields):
        request_type = getattr(pb, f"{rpc}Request")
        request = request_type(merchant=client.merchant, **fields)
        return seen.call(client._call, getattr(client._connection.vault, rpc), request)

    call("BatchGetCardTokens", card_tokens=[token, number])
    call("ListCardTokens", page_size=1)
    for fields in (
        {"customer_reference": number},
        {"last_four": number},
        {"page_token": number},
    ):
        call("ListCardTokens", **fields)
