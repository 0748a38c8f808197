"""Calls of VaultService."""

from collections.abc import Iterable, Iterator

from bailee._sync.connection import Calls
from bailee.card import Card, CardItem
from bailee.requests import new_request_id, read_purposes
from bailee.v1 import card_pb2, purpose_pb2, vault_service_pb2


class CardCalls(Calls):
    """Cards in, tokens out."""

    def list_sealing_keys(self) -> list[vault_service_pb2.SealingKey]:
        """Returns the public keys to seal with; the client fetches them by itself."""
        request = vault_service_pb2.ListSealingKeysRequest(merchant=self.merchant)
        answer = self._call(self._connection.vault.ListSealingKeys, request)
        return list(answer.sealing_keys)

    def tokenize_card(
        self,
        card: Card,
        *,
        customer_reference: str = "",
        purposes: Iterable[str] = (),
        agreement_reference: str = "",
        request_id: str = "",
    ) -> vault_service_pb2.TokenizeCardResponse:
        """Stores a card and returns its token.

        Args:
            card: The card; sealed here, before it enters any message.
            customer_reference: Your opaque name for the cardholder.
            purposes: What the cardholder agreed to, such as ``"payment.recurring"``.
                Nothing means customer-initiated payments and verification.
            agreement_reference: Your name for that agreement.
            request_id: A UUID4; made here if absent.
        """
        request_id = request_id or new_request_id()
        request = vault_service_pb2.TokenizeCardRequest(
            merchant=self.merchant,
            request_id=request_id,
            card=card_pb2.CardInput(
                sealed=self._seal_card(card, "TokenizeCard", request_id)
            ),
            customer_reference=customer_reference,
            mandate=purpose_pb2.Mandate(
                purposes=read_purposes(purposes),
                agreement_reference=agreement_reference,
            ),
        )
        return self._call(
            self._connection.vault.TokenizeCard, request, request_id=request_id
        )

    def batch_tokenize_cards(
        self, items: Iterable[CardItem], *, request_id: str = ""
    ) -> list[vault_service_pb2.TokenizeCardResult]:
        """Stores up to 1,000 cards, sealed in one envelope of up to 1 MiB.

        Each is answered in its place, with ``tokenized`` or with an ``error``. A retry
        of the same call stores nothing twice.

        Args:
            items: The cards.
            request_id: A UUID4; made here if absent.
        """
        request_id = request_id or new_request_id()
        cards = list(items)
        self._fetch_sealing_keys()
        sealed = self._connection.sealer.seal_batch(
            [item.card for item in cards],
            merchant=self.merchant,
            rpc="BatchTokenizeCards",
            request_id=request_id,
        )
        request = vault_service_pb2.BatchTokenizeCardsRequest(
            merchant=self.merchant,
            request_id=request_id,
            sealed_batch=sealed,
            items=[
                vault_service_pb2.TokenizeCardItem(
                    customer_reference=item.customer_reference,
                    mandate=purpose_pb2.Mandate(
                        purposes=read_purposes(item.purposes),
                        agreement_reference=item.agreement_reference,
                    ),
                )
                for item in cards
            ],
        )
        answer = self._call(
            self._connection.vault.BatchTokenizeCards, request, request_id=request_id
        )
        return list(answer.results)

    def get_card_token(self, card_token: str) -> card_pb2.CardToken:
        """Describes a token."""
        request = vault_service_pb2.GetCardTokenRequest(
            merchant=self.merchant, card_token=card_token
        )
        answer = self._call(self._connection.vault.GetCardToken, request)
        return answer.card_token

    def batch_get_card_tokens(
        self, card_tokens: Iterable[str]
    ) -> list[vault_service_pb2.CardTokenResult]:
        """Describes up to 1,000 tokens, each in its place; a name that is none gets an
        ``error`` instead of a ``card_token``.
        """
        request = vault_service_pb2.BatchGetCardTokensRequest(
            merchant=self.merchant, card_tokens=card_tokens
        )
        answer = self._call(self._connection.vault.BatchGetCardTokens, request)
        return list(answer.results)

    def list_card_tokens(
        self,
        *,
        customer_reference: str = "",
        last_four: str = "",
        state: "card_pb2.CardToken.State.ValueType" = (
            card_pb2.CardToken.STATE_UNSPECIFIED
        ),
        page_size: int = 0,
    ) -> Iterator[card_pb2.CardToken]:
        """Yields tokens, the newest first, asking for a page when it is needed.

        Args:
            customer_reference: Only those of this cardholder.
            last_four: Only those whose number ends in these digits.
            state: Only those in this state.
            page_size: How many to ask for at once; nothing means 50.
        """
        request = vault_service_pb2.ListCardTokensRequest(
            merchant=self.merchant,
            page_size=page_size,
            customer_reference=customer_reference,
            state=state,
            last_four=last_four,
        )
        return self._each(
            self._connection.vault.ListCardTokens,
            request,
            lambda answer: answer.card_tokens,
        )

    def delete_card_token(
        self, card_token: str, *, request_id: str = ""
    ) -> vault_service_pb2.DeleteCardTokenResponse:
        """Destroys every copy of the card's keys."""
        request = vault_service_pb2.DeleteCardTokenRequest(
            merchant=self.merchant,
            request_id=request_id or new_request_id(),
            card_token=card_token,
        )
        return self._call(
            self._connection.vault.DeleteCardToken,
            request,
            request_id=request.request_id,
        )
