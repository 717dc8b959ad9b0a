"""Networks behind one face; knows nothing of frames or threads."""

import os

# ONNX Runtime from 1.29 on reports to its makers what it runs, and keeps a number for this machine
# in the home folder, unless it is told not to before it is loaded for the first time.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
