"""The words of docs/glossary.md as types. Nothing here does I/O."""
