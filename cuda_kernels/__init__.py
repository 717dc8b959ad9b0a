"""Pure functions on arrays: warp, rasterise, colour, blend."""
