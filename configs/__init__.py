"""Configuration files of the engine: data only."""
