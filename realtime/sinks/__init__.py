"""Where pictures go: virtual cameras, video files, nowhere."""
