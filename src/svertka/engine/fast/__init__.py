"""How the same convolution becomes fast: one file a way, and what they share."""
