"""The client for threads. Generated from ``_async``; do not edit."""
