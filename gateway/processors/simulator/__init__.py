"""A card processor that moves no real money and misbehaves on request."""
