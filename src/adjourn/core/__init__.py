"""Pure values and functions: the standard library only, no clock, no randomness, no waiting, no logging."""
