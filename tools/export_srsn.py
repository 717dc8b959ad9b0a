"""Makes ONNX files of trained SR-SN networks: ``python -m tools.export_srsn RUN.pt --out DIR``.

The averaged weights are rounded to 16 bits, exported with open batch, height and width, and
compared with PyTorch; they are stored in the 16 bits they have, and computed with in 32. Prints
hash and size of each for the catalogue. Needs torch and onnxscript, as ``tools.export_onnx`` does.

``--towards FILE --share 0.7`` takes so much of the trained weights and the rest of those of another
file, a checkpoint or an ONNX file (network interpolation, Wang et al. 2018, arXiv 1809.00219): that
takes fine grids away which a perceptual loss has left.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper

from engines.errors import ModelError
from engines.graphs import parse_model, write_model
from engines.models.cache_files import sha256_of, write_atomically
from tools.export_onnx import InputSpec, export
from tools.srsn_training import STORED_SUFFIX, load_average, weights_in

MAX_BYTES = 3_500_000

_EXAMPLE = InputSpec("picture", (2, 3, 40, 56), {0: "n", 2: "height", 3: "width"})


def make_file(checkpoint: Path, *, towards: Path | None = None, share: float = 1.0) -> bytes:
    """The ONNX file of one training.

    Args:
        checkpoint: of the training.
        towards: another file of weights; None: there is none.
        share: how much counts what is in the checkpoint, against that file, 0..1.

    Raises:
        ModelError: it does not compute what PyTorch does, or is too large.
        ValueError: the checkpoint is of no network we know, or the other file of another one.
    """
    network = load_average(checkpoint).network
    other = weights_in(towards) if towards is not None else {}
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if towards is not None:
                if name not in other or other[name].shape != weight.shape:
                    raise ValueError(f"{towards}: must hold {name} of {checkpoint.stem}, got none.")
                weight.lerp_(other[name], 1 - share)
            weight.copy_(weight.half().float())
    exported = export(network, [_EXAMPLE], ["enlarged"], name=checkpoint.stem)
    model = stored_in_16_bits(exported.model, checkpoint.stem)
    if len(model) > MAX_BYTES:
        raise ModelError(
            f"{checkpoint.stem}: must be of at most {MAX_BYTES} bytes, got {len(model)}."
        )
    return model


def stored_in_16_bits(model: bytes, name: str) -> bytes:
    """The same network with every constant that loses nothing by it kept as float16.

    A cast behind each brings it back to 32 bits; runtimes do that once, when they load it.
    """
    proto = parse_model(model, name)
    casts = []
    for constant in list(proto.graph.initializer):
        values = numpy_helper.to_array(constant)
        if values.dtype != np.float32 or values.ndim == 0:
            continue
        if not np.array_equal(values.astype(np.float16), values):
            continue
        stored = f"{constant.name}{STORED_SUFFIX}"
        casts.append(helper.make_node("Cast", [stored], [constant.name], to=onnx.TensorProto.FLOAT))
        constant.CopyFrom(numpy_helper.from_array(values.astype(np.float16), stored))
    nodes = [*casts, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    return write_model(proto, name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exports what the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoints", nargs="+", type=Path, help="of tools.train_srsn")
    parser.add_argument("--out", required=True, type=Path, help="folder of the ONNX files")
    parser.add_argument("--towards", type=Path, help="another file whose weights are mixed in")
    parser.add_argument(
        "--share", type=float, default=0.7, help="of the checkpoint's weights, 0..1"
    )
    options = parser.parse_args(arguments)
    if not 0 <= options.share <= 1:
        parser.error(f"--share: must be from 0 to 1, got {options.share:g}")
    # The exporter announces every optional package it does not find.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        for checkpoint in options.checkpoints:
            model = make_file(checkpoint, towards=options.towards, share=options.share)
            write_atomically(options.out / f"{checkpoint.stem}.onnx", model)
            print(f"  {checkpoint.stem}:\n    sha256: {sha256_of(model)}\n    bytes: {len(model)}")
    except (ModelError, OSError, ValueError) as error:
        print(f"export_srsn: {error}", file=sys.stderr)
        return ModelError.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
