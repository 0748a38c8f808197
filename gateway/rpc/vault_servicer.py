"""The wire side of VaultService: reads, does, shows. Holds no rule."""

from bailee.v1 import vault_service_pb2 as pb
from bailee.v1 import vault_service_pb2_grpc
from grpc.aio import ServicerContext

from gateway.keys.ports import KeyProvider
from gateway.rpc import vault_messages as messages
from gateway.rpc.callers import caller_of_call
from gateway.rpc.request_digests import RequestDigests
from gateway.vault.delete_card_token import DeleteCardToken, DeleteCardTokenCommand
from gateway.vault.read_card_tokens import ReadCardTokens
from gateway.vault.tokenize_card import TokenizeCard, TokenizeCardCommand
from gateway.words.clock import Clock
from gateway.words.identifiers import read_merchant_id, read_request_id


class VaultServicer(vault_service_pb2_grpc.VaultServiceServicer):
    """See proto/bailee/v1/vault_service.proto."""

    def __init__(
        self,
        *,
        tokenize_card: TokenizeCard,
        read_card_tokens: ReadCardTokens,
        delete_card_token: DeleteCardToken,
        provider: KeyProvider,
        digests: RequestDigests,
        clock: Clock,
    ) -> None:
        self._tokenize_card = tokenize_card
        self._read_card_tokens = read_card_tokens
        self._delete_card_token = delete_card_token
        self._provider = provider
        self._digests = digests
        self._clock = clock

    async def TokenizeCard(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.TokenizeCardRequest,
        context: ServicerContext[pb.TokenizeCardRequest, pb.TokenizeCardResponse],  # noqa: ARG002
    ) -> pb.TokenizeCardResponse:
        """Stores a card."""
        merchant = read_merchant_id(request.merchant)
        command = TokenizeCardCommand(
            merchant=merchant,
            caller=caller_of_call().spiffe_id,
            request_id=read_request_id(request.request_id),
            digest=self._digests.of("TokenizeCard", merchant, request),
            form=messages.read_card(request.card),
            customer_reference=messages.read_customer_reference(
                request.customer_reference
            ),
            mandate=messages.read_mandate(request.mandate),
        )
        done = await self._tokenize_card.execute(command)
        return pb.TokenizeCardResponse(
            card_token=messages.show_card(done.card),
            receipt=messages.show_receipt(done.receipt),
            replayed=done.replayed,
            warnings=done.warnings,
        )

    async def GetCardToken(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.GetCardTokenRequest,
        context: ServicerContext[pb.GetCardTokenRequest, pb.GetCardTokenResponse],  # noqa: ARG002
    ) -> pb.GetCardTokenResponse:
        """Describes a token."""
        merchant = read_merchant_id(request.merchant)
        token = messages.read_card_token(request.card_token)
        view = await self._read_card_tokens.get(merchant, token)
        return pb.GetCardTokenResponse(
            card_token=messages.show_card(view.card, view.accounts)
        )

    async def DeleteCardToken(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.DeleteCardTokenRequest,
        context: ServicerContext[pb.DeleteCardTokenRequest, pb.DeleteCardTokenResponse],  # noqa: ARG002
    ) -> pb.DeleteCardTokenResponse:
        """Erases a card."""
        merchant = read_merchant_id(request.merchant)
        command = DeleteCardTokenCommand(
            merchant=merchant,
            caller=caller_of_call().spiffe_id,
            request_id=read_request_id(request.request_id),
            digest=self._digests.of("DeleteCardToken", merchant, request),
            token=messages.read_card_token(request.card_token),
        )
        done = await self._delete_card_token.execute(command)
        return pb.DeleteCardTokenResponse(
            card_token=messages.show_card(done.card),
            receipt=messages.show_receipt(done.receipt),
            replayed=done.replayed,
        )

    async def ListSealingKeys(  # noqa: N802 - the name is gRPC's
        self,
        request: pb.ListSealingKeysRequest,
        context: ServicerContext[pb.ListSealingKeysRequest, pb.ListSealingKeysResponse],  # noqa: ARG002
    ) -> pb.ListSealingKeysResponse:
        """Returns the keys to seal with."""
        read_merchant_id(request.merchant)
        return messages.show_sealing_keys(
            self._provider.sealing_keys(self._clock.now())
        )
