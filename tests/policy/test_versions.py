"""Policy versions: append-only, and each allows what its text says."""

import hashlib
import json
from pathlib import Path

import pytest

from gateway.errors import InvariantBroken
from gateway.policy.versions import NEWEST, VERSIONS, version_numbered
from gateway.words.purposes import GRANTABLE, NEVER_ALLOWED, Purpose

FROZEN = json.loads(
    Path(__file__)
    .parents[1]
    .joinpath("vectors/policy_versions.json")
    .read_text("utf-8")
)


class TestVersions:
    def test_no_shipped_version_has_changed_or_gone(self):
        """Entries of the log name these hashes. Add a version; never edit one."""
        shipped = {
            str(version.number): {
                "name": version.name,
                "sha256": version.sha256,
                "purposes": sorted(version.purposes),
            }
            for version in VERSIONS.values()
        }

        assert shipped == FROZEN

    @pytest.mark.parametrize("version", VERSIONS.values(), ids=lambda one: one.name)
    def test_the_hash_is_of_the_text(self, version):
        assert hashlib.sha256(version.text.encode()).hexdigest() == version.sha256

    @pytest.mark.parametrize("version", VERSIONS.values(), ids=lambda one: one.name)
    def test_no_version_allows_what_can_never_be_allowed(self, version):
        assert not version.purposes & NEVER_ALLOWED

    def test_numbers_are_contiguous_and_the_newest_is_last(self):
        assert list(VERSIONS) == list(range(1, len(VERSIONS) + 1))
        assert NEWEST is VERSIONS[len(VERSIONS)]

    def test_refuses_a_version_that_was_never_shipped(self):
        for number in (0, -1, len(VERSIONS) + 1):
            with pytest.raises(InvariantBroken):
                version_numbered(number)

    def test_is_not_changed_by_accident(self):
        with pytest.raises(TypeError):
            VERSIONS[2] = NEWEST  # type: ignore[index]


class TestProcessingOnly:
    def test_allows_what_can_be_granted_and_erasure(self):
        assert version_numbered(1).purposes == GRANTABLE | {Purpose.ERASURE}

    @pytest.mark.parametrize(
        "words", ["30 calendar days", "deactivates", *sorted(NEVER_ALLOWED)]
    )
    def test_says_so_in_plain_words(self, words):
        assert words in version_numbered(1).text
