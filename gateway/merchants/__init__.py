"""Merchants, their callers and their processor accounts."""
