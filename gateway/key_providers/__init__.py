"""Adapters of the KeyProvider port, a folder or file each."""
