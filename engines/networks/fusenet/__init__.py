"""FuseNet: makes a rendered face belong to the picture, with a memory of the frames before."""
