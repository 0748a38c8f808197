"""Between the messages that read several tokens and the vault's own types."""

from collections.abc import Sequence
from typing import Final

from bailee.v1 import card_pb2, vault_service_pb2

from gateway.errors import CardTokenNotFound, RequestInvalid
from gateway.rpc.paging import PageTokens
from gateway.rpc.status import show_item_error
from gateway.rpc.vault_messages import (
    STATES,
    read_customer_reference,
    show_card,
)
from gateway.vault.ports import CardFilter
from gateway.vault.read_card_tokens import CardPage, CardView
from gateway.words.identifiers import CardTokenName, is_name

BATCH_MAX: Final = 1000
LIST_RPC: Final = "ListCardTokens"

_LAST_FOUR_LENGTH: Final = 4
_STATES: Final = {number: state for state, number in STATES.items()}


# Reading


def read_names(
    request: vault_service_pb2.BatchGetCardTokensRequest,
) -> Sequence[CardTokenName | None]:
    """Returns the names; None where a text cannot be one, which does not exist."""
    if not 0 < len(request.card_tokens) <= BATCH_MAX:
        raise RequestInvalid("card_tokens", f"needs 1 to {BATCH_MAX} names")
    return [
        CardTokenName(text) if is_name("card", text) else None
        for text in request.card_tokens
    ]


def read_filter(request: vault_service_pb2.ListCardTokensRequest) -> CardFilter:
    """Returns what the listed cards have in common."""
    state = None
    if request.state != card_pb2.CardToken.STATE_UNSPECIFIED:
        state = _STATES.get(request.state)
        if state is None:
            raise RequestInvalid("state", "is not a state of a card token")
    last_four = request.last_four
    is_digits = last_four.isascii() and last_four.isdigit()
    if last_four and not (is_digits and len(last_four) == _LAST_FOUR_LENGTH):
        raise RequestInvalid("last_four", "is not four digits")
    return CardFilter(
        customer_reference=read_customer_reference(request.customer_reference),
        state=state,
        last_four=last_four,
    )


def read_place(
    request: vault_service_pb2.ListCardTokensRequest, tokens: PageTokens
) -> CardTokenName | None:
    """Returns the card that the page goes on after."""
    position = tokens.read(LIST_RPC, request)
    return CardTokenName(position) if position else None


# Showing


def show_results(
    views: Sequence[CardView | None],
) -> vault_service_pb2.BatchGetCardTokensResponse:
    """Returns the answer of BatchGetCardTokens."""
    unknown = vault_service_pb2.CardTokenResult(
        error=show_item_error(CardTokenNotFound())
    )
    return vault_service_pb2.BatchGetCardTokensResponse(
        results=[
            unknown
            if view is None
            else vault_service_pb2.CardTokenResult(
                card_token=show_card(view.card, view.accounts)
            )
            for view in views
        ]
    )


def show_page(
    page: CardPage,
    request: vault_service_pb2.ListCardTokensRequest,
    tokens: PageTokens,
) -> vault_service_pb2.ListCardTokensResponse:
    """Returns the answer of ListCardTokens."""
    shown = vault_service_pb2.ListCardTokensResponse(
        card_tokens=[show_card(view.card, view.accounts) for view in page.views]
    )
    if page.has_more:
        last = page.views[-1].card.token
        shown.next_page_token = tokens.show(LIST_RPC, request, last)
    return shown
