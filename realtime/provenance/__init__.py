"""Saying that a picture is artificial: the invisible mark, metadata, signatures, and reading them."""
