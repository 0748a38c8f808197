"""Adapters of the Processor port, a folder each."""
