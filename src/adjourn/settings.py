"""The operator's settings: TOML files and environment variables, turned into checked values."""
