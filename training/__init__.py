"""How the weights of the trained detectors are made: `make train` (README.md)."""
