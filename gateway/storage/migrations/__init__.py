"""Alembic migrations of the database; run by gateway/storage/schema.py."""
