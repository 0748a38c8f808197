"""What events must tell of every payment, whatever a test did to it."""

from itertools import pairwise

from gateway.payments.payment_event import sums_of
from gateway.payments.payment_lists import Page, PaymentFilter
from tests.builders.storage import OTHER, SHOP


async def check_stories(storage):
    """Each payment's events lead, step by step, to the payment as it is."""
    for merchant in (SHOP, OTHER):
        await storage.read(merchant, check_stories_of)


def check_stories_of(unit):
    everything = unit.payments.events(0, 10_000)
    positions = [event.position for event in everything]
    assert positions == list(range(1, len(positions) + 1))
    for payment in unit.payments.list_payments(
        PaymentFilter(), Page(size=200)
    ).payments:
        story = [event for event in everything if event.payment == payment.name]
        assert story == unit.payments.events(0, 10_000, payment.name)
        assert story[0].previous_state is None
        for before, after in pairwise(story):
            assert after.previous_state is before.state, (before, after)
            assert after.at >= before.at
        assert (story[-1].state, story[-1].sums) == (payment.state, sums_of(payment))
        check_moves(unit, payment, story)


def check_moves(unit, payment, story):
    last = {event.moved.name: event.moved.status for event in story if event.moved}
    moves = {move.name: move.status for move in unit.payments.moves(payment.name)}
    assert last == moves
