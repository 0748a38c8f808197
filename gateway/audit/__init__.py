"""The tamper-evident log of each merchant: entries, tree, checkpoints, receipts."""
