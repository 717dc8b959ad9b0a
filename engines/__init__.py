"""Networks behind one face; knows nothing of frames or threads."""
