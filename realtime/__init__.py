"""Time, order and ownership: the engine that moves pictures from a source to its sinks."""
