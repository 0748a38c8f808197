"""Policy documents for tests: variations of the one that ships."""

from gateway.policy.notify_merchants import NotifyMerchants
from gateway.policy.publish_policy import PublishPolicy
from gateway.policy.versions import SHIPPED
from tests.builders.vault import a_request_id

TEXT = SHIPPED.document.text
RECURRING_ROW = (
    'purposes = ["payment.recurring", "payment.installment", "payment.unscheduled"]\n'
    'verb = "tokenize"'
)


def variation(*replacements):
    """Returns the shipped document with texts replaced, as bytes."""
    text = TEXT
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    return text.encode()


def without_recurring():
    """A document under which no card is kept or charged for recurring payments."""
    return variation(
        ('"payment.recurring", "payment.installment"', '"payment.installment"')
    )


def with_phone_for_the_processor():
    """A document that lets the processor have the phone number, too: it widens."""
    return variation(
        (
            'verb = "charge"\ninitiators = ["cardholder"]\nelements = ["number"',
            'verb = "charge"\ninitiators = ["cardholder"]\n'
            'elements = ["billing_phone", "number"',
        )
    )


def opt_in(document):
    """The same document, under which use alone is not agreement."""
    return document.replace(b'"continued_use"', b'"opt_in"')


async def publish(storage, clock, policy_time, document):
    """Publishes a document and tells every merchant."""
    notify = NotifyMerchants(storage=storage, clock=clock, policy_at=policy_time.at)
    publishing = PublishPolicy(storage=storage, notify=notify, clock=clock)
    return await publishing.execute(
        document, caller="operator/test", request_id=a_request_id()
    )
