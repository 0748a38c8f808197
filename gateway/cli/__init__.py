"""The ``bailee`` command."""
