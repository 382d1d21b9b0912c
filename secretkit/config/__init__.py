"""Configuration: TOML to frozen typed values, and where each value came from."""
