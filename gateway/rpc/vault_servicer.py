"""The wire side of VaultService: reads, does, shows. Holds no rule."""

from typing import Any

from bailee.v1 import vault_service_pb2 as pb
from bailee.v1 import vault_service_pb2_grpc

from gateway.keys.ports import KeyProvider
from gateway.rpc import card_list_messages as list_messages
from gateway.rpc import vault_messages as messages
from gateway.rpc.batch_messages import read_batch, show_batch
from gateway.rpc.callers import caller_of_call
from gateway.rpc.paging import PageTokens, read_page_size
from gateway.rpc.request_digests import RequestDigests
from gateway.vault.batch_tokenize_cards import BatchTokenizeCards
from gateway.vault.delete_card_token import DeleteCardToken
from gateway.vault.read_card_tokens import ReadCardTokens
from gateway.vault.tokenize_card import TokenizeCard
from gateway.words.clock import Clock
from gateway.words.identifiers import read_merchant_id


class VaultServicer(vault_service_pb2_grpc.VaultServiceServicer):
    """See proto/bailee/v1/vault_service.proto."""

    def __init__(  # noqa: PLR0913 - one use case for each RPC, by keyword
        self,
        *,
        tokenize_card: TokenizeCard,
        batch_tokenize_cards: BatchTokenizeCards,
        read_card_tokens: ReadCardTokens,
        delete_card_token: DeleteCardToken,
        provider: KeyProvider,
        pages: PageTokens,
        digests: RequestDigests,
        clock: Clock,
    ) -> None:
        self._tokenize_card = tokenize_card
        self._batch_tokenize_cards = batch_tokenize_cards
        self._read_card_tokens = read_card_tokens
        self._delete_card_token = delete_card_token
        self._provider = provider
        self._pages = pages
        self._digests = digests
        self._clock = clock

    async def TokenizeCard(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.TokenizeCardRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.TokenizeCardResponse:
        """Stores a card."""
        command = messages.read_tokenize_card(
            request,
            caller=caller_of_call().spiffe_id,
            digest=self._digests.of("TokenizeCard", request),
        )
        return messages.show_tokenized(await self._tokenize_card.execute(command))

    async def BatchTokenizeCards(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.BatchTokenizeCardsRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.BatchTokenizeCardsResponse:
        """Stores several cards."""
        command = read_batch(
            request, caller=caller_of_call().spiffe_id, digests=self._digests
        )
        return show_batch(await self._batch_tokenize_cards.execute(command))

    async def GetCardToken(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.GetCardTokenRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.GetCardTokenResponse:
        """Describes a token."""
        merchant = read_merchant_id(request.merchant)
        token = messages.read_card_token(request.card_token)
        return messages.show_view(await self._read_card_tokens.get(merchant, token))

    async def BatchGetCardTokens(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.BatchGetCardTokensRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.BatchGetCardTokensResponse:
        """Describes several tokens."""
        merchant = read_merchant_id(request.merchant)
        names = list_messages.read_names(request)
        views = await self._read_card_tokens.get_many(merchant, names)
        return list_messages.show_results(views)

    async def ListCardTokens(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.ListCardTokensRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.ListCardTokensResponse:
        """Finds tokens."""
        found = await self._read_card_tokens.list(
            read_merchant_id(request.merchant),
            list_messages.read_filter(request),
            after=list_messages.read_place(request, self._pages),
            limit=read_page_size(request.page_size),
        )
        return list_messages.show_page(found, request, self._pages)

    async def DeleteCardToken(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.DeleteCardTokenRequest,
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.DeleteCardTokenResponse:
        """Erases a card."""
        command = messages.read_delete_card_token(
            request,
            caller=caller_of_call().spiffe_id,
            digest=self._digests.of("DeleteCardToken", request),
        )
        return messages.show_deleted(await self._delete_card_token.execute(command))

    async def ListSealingKeys(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.ListSealingKeysRequest,  # noqa: ARG002 - keys are the vault's
        context: Any,  # noqa: ANN401, ARG002 - gRPC's own
    ) -> pb.ListSealingKeysResponse:
        """Returns the keys to seal with."""
        keys = self._provider.sealing_keys(self._clock.now())
        return messages.show_sealing_keys(keys)
