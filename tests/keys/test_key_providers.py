"""Every KeyProvider keeps the contract: the one in a file and the fake."""

import pytest

from gateway.key_providers.file import FileKeyProvider
from tests.contract.key_provider_contract import NOW, KeyProviderContract
from tests.fakes.key_provider import MemoryKeyProvider

VAULT = "vault.example/vault-0123456789abcdef"


class TestFileKeyProvider(KeyProviderContract):
    @pytest.fixture
    def provider(self, tmp_path):
        return FileKeyProvider.create(tmp_path / "keyring", VAULT, NOW)

    def secrets(self, provider):
        keyring = provider._keyring
        return [
            *super().secrets(provider),
            *keyring.epochs.values(),
            *(key.private_key for key in keyring.sealing_keys),
            keyring.identity_key,
            keyring.log_key,
            keyring.mac_root,
        ]


class TestFileKeyProviderOpenedAgain(TestFileKeyProvider):
    """With a second sealing key, and read back from its file."""

    @pytest.fixture
    def provider(self, tmp_path):
        FileKeyProvider.create(tmp_path / "keyring", VAULT, NOW).rotate_sealing_key(NOW)
        return FileKeyProvider.open(tmp_path / "keyring")


class TestMemoryKeyProvider(KeyProviderContract):
    @pytest.fixture
    def provider(self):
        provider = MemoryKeyProvider()
        provider.add_epoch()
        provider.add_sealing_key()
        return provider
