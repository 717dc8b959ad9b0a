"""The project's own networks: how they are built and what they are trained with.

PyTorch is needed here and for training only; the program runs the exported ONNX files.
"""
