"""What a card is: number, brand, expiry, billing details. Pure, no I/O."""
