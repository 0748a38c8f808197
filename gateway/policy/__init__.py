"""Which use of a card is allowed: a pure decision and the versions behind it."""
