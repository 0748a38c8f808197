"""``bailee doctor`` finds what is wrong and says what to do."""

import pytest

from gateway.cli.doctor import examine
from gateway.cli.init import InitOptions, create_gateway, free_port
from gateway.words.clock import SystemClock


@pytest.fixture
def folder(tmp_path):
    options = InitOptions(listen=f"127.0.0.1:{free_port()}")
    return create_gateway(tmp_path / "gw", options, SystemClock().now()).folder


def problems(folder):
    return [finding.text for finding in examine(folder) if finding.is_problem]


class TestDoctor:
    def test_finds_nothing_wrong_with_a_new_gateway(self, folder):
        assert problems(folder) == []

    def test_finds_a_keyring_that_others_can_look_into(self, folder):
        (folder / "keyring").chmod(0o755)

        assert f"chmod 700 {folder / 'keyring'}" in problems(folder)[0]

    def test_says_what_is_wrong_with_a_keyring(self, folder):
        """As ``bailee serve`` does: with what the error knows beside its sentence."""
        wrapped = next(
            path for path in (folder / "keyring").rglob("*") if path.is_file()
        )
        wrapped.chmod(0o644)

        found = problems(folder)

        assert any("chmod 600" in text for text in found)
        assert any(text.startswith("the keyring does not open") for text in found)
        assert any("(" in text for text in found if "keyring does not open" in text)
