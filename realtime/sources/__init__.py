"""Where pictures come from: cameras, video files, still pictures, the synthetic camera."""
