"""What `rt-swap doctor` looks at: whether the main job can run here, and what mends it."""
