"""The model catalogue (data), where its files come from, and one adapter for each family."""
