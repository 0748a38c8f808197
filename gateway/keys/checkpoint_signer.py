"""Signing checkpoints with the key provider's log key."""

from gateway.keys.ports import KeyProvider


class ProviderSigner:
    """The audit log's CheckpointSigner, backed by the key provider."""

    def __init__(self, provider: KeyProvider) -> None:
        self._provider = provider

    @property
    def public_key(self) -> bytes:
        """See CheckpointSigner.public_key."""
        return self._provider.log_public_key

    def sign(self, text: bytes) -> bytes:
        """See CheckpointSigner.sign."""
        return self._provider.sign_checkpoint(text)
