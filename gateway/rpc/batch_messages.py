"""Between BatchTokenizeCards' messages and the vault's own types."""

from collections.abc import Sequence

from bailee.v1 import vault_service_pb2

from gateway.errors import FieldError, GatewayError, RequestInvalid
from gateway.rpc.card_list_messages import BATCH_MAX
from gateway.rpc.request_digests import RequestDigests
from gateway.rpc.status import show_item_error
from gateway.rpc.vault_messages import (
    read_batch_envelope,
    read_card,
    read_customer_reference,
    read_mandate,
    show_tokenized,
)
from gateway.vault.batch_tokenize_cards import RPC, BatchItem, BatchTokenizeCommand
from gateway.vault.tokenize_card import Tokenized
from gateway.words.identifiers import read_merchant_id, read_request_id


def read_batch(
    request: vault_service_pb2.BatchTokenizeCardsRequest,
    *,
    caller: str,
    digests: RequestDigests,
) -> BatchTokenizeCommand:
    """Returns what BatchTokenizeCards is asked to do.

    A field that is wrong in one item is that item's error.
    """
    merchant = read_merchant_id(request.merchant)
    request_id = read_request_id(request.request_id)
    if not 0 < len(request.items) <= BATCH_MAX:
        raise RequestInvalid("items", f"needs 1 to {BATCH_MAX} items")
    envelope = None
    if request.HasField("sealed_batch"):
        envelope = read_batch_envelope("sealed_batch", request.sealed_batch)
    return BatchTokenizeCommand(
        merchant=merchant,
        caller=caller,
        request_id=request_id,
        items=[
            _read_item(item, digest, has_envelope=envelope is not None)
            for item, digest in zip(
                request.items, digests.of_items(RPC, request), strict=True
            )
        ],
        sealed_batch=envelope,
    )


def _read_item(
    item: vault_service_pb2.TokenizeCardItem, digest: bytes, *, has_envelope: bool
) -> BatchItem | GatewayError:
    try:
        if has_envelope and item.HasField("card"):
            raise RequestInvalid("card", "is here and in sealed_batch; send it once")
        return BatchItem(
            digest=digest,
            form=None if has_envelope else read_card(item.card),
            customer_reference=read_customer_reference(item.customer_reference),
            mandate=read_mandate(item.mandate),
        )
    except FieldError as error:
        return error


def show_batch(
    results: Sequence[Tokenized | GatewayError],
) -> vault_service_pb2.BatchTokenizeCardsResponse:
    """Returns the answer of BatchTokenizeCards."""
    return vault_service_pb2.BatchTokenizeCardsResponse(
        results=[
            vault_service_pb2.TokenizeCardResult(error=show_item_error(result))
            if isinstance(result, GatewayError)
            else vault_service_pb2.TokenizeCardResult(tokenized=show_tokenized(result))
            for result in results
        ]
    )
