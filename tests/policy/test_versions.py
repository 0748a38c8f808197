"""The version that ships: frozen, and allowing what its text says."""

import hashlib
import json
from pathlib import Path

import pytest

from gateway.policy.permissions import INDISPENSABLE, DataElement
from gateway.policy.versions import SHIPPED
from gateway.words.purposes import GRANTABLE, NEVER_ALLOWED, Purpose, Verb

ROOT = Path(__file__).parents[2]
FROZEN = json.loads(ROOT.joinpath("tests/vectors/policy_versions.json").read_text())
DOCUMENT = ROOT / "gateway/policy/texts/processing-only-1.md"


class TestShipped:
    def test_has_not_changed(self):
        """Entries of the log name this hash. Publish a version; never edit one."""
        assert {"1": {"name": SHIPPED.name, "sha256": SHIPPED.sha256}} == FROZEN

    def test_has_the_hash_that_sha256sum_prints(self):
        assert hashlib.sha256(DOCUMENT.read_bytes()).hexdigest() == SHIPPED.sha256

    @pytest.mark.parametrize("purpose", sorted(GRANTABLE))
    def test_allows_keeping_a_card_for_what_can_be_granted(self, purpose):
        elements = SHIPPED.permissions.elements(purpose, Verb.TOKENIZE)

        assert elements >= INDISPENSABLE
        assert DataElement.SECURITY_CODE not in elements

    @pytest.mark.parametrize("purpose", sorted(NEVER_ALLOWED))
    @pytest.mark.parametrize("verb", Verb)
    def test_allows_nothing_that_can_never_be_allowed(self, purpose, verb):
        assert SHIPPED.permissions.elements(purpose, verb) == frozenset()

    @pytest.mark.parametrize("verb", [Verb.CHARGE, Verb.VERIFY])
    def test_gives_a_processor_no_mail_address_and_no_phone(self, verb):
        kept_back = {DataElement.BILLING_EMAIL, DataElement.BILLING_PHONE}

        for purpose in Purpose:
            assert not SHIPPED.permissions.elements(purpose, verb) & kept_back

    @pytest.mark.parametrize(
        "words", ["30 calendar days", "deactivates", "180 days", *sorted(NEVER_ALLOWED)]
    )
    def test_says_so_in_plain_words(self, words):
        assert words in SHIPPED.document.text
