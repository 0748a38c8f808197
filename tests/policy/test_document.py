"""Reading a policy."""

import pytest

from gateway.policy.document import (
    DOCUMENT_BYTES_MAX,
    Consent,
    PolicyInvalid,
    read_document,
)
from tests.builders.policies import opt_in, variation


class TestReadDocument:
    def test_reads_name_and_consent(self):
        document = read_document(opt_in(variation()))

        assert document.name == "processing-only"
        assert document.consent is Consent.OPT_IN

    @pytest.mark.parametrize(
        ("document", "says"),
        [
            (b"", "0 fenced blocks"),
            (b"\xff", "UTF-8"),
            (b"x" * (DOCUMENT_BYTES_MAX + 1), "longer"),
            (variation() * 2, "2 fenced blocks"),
            (variation(('name = "processing-only"\n', "")), "name"),
            (variation(("retention_days = 180", "retention_days = -1")), "retention"),
            (variation(("retention_days = 180", "forever = true")), "forever"),
            (variation(('consent = "continued_use"', "consent = ")), "not TOML"),
            (variation(('["verification"]', '["marketing"]')), "cannot serve"),
            (variation(('["verification"]', '["resold"]')), "purposes"),
            (variation(('"vault"', '"anybody"')), "recipient"),
            (variation(('"vault"', '"card_processor"')), "hands nothing"),
        ],
    )
    def test_refuses_and_says_why(self, document, says):
        with pytest.raises(PolicyInvalid, match=says):
            read_document(document)
