"""The trained FuseNet networks as ONNX files."""
