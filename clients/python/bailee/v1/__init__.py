"""Generated from proto/bailee/v1 by `make proto`. Do not edit."""
