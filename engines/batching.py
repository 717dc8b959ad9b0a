"""Letting a network that was exported for one face take several at once."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx

from engines.errors import ModelError
from engines.graphs import free_inputs, parse_model, write_model
from engines.onnxruntime import compute
from engines.self_check import compare
from engines.session import Array

_MAX_ERROR = 1e-3
_BATCH = "batch"


def with_open_batch(
    model: bytes, samples: Sequence[Mapping[str, Array]], *, threads: int = 1, name: str = "model"
) -> bytes:
    """The network with its first dimension open, if it then does with two what it did with each.

    Some networks fix the batch inside as well; whether they do is tried, not read off.

    Args:
        model: a serialised ONNX model.
        samples: at least two, arrays by input name with a first dimension of one.
        threads: CPU threads for the trial.
        name: what error messages call the network.

    Returns:
        The opened model; the one given where that does not work, or the batch is open already.

    Raises:
        ModelError: the bytes are no model.
    """
    proto = parse_model(model, name)
    values = [*free_inputs(proto.graph), *proto.graph.output]
    if not all(_is_single(value) for value in values):
        return model
    for value in values:
        value.type.tensor_type.shape.dim[0].dim_param = _BATCH
    del proto.graph.value_info[:]
    opened = write_model(proto, name)
    first, second = dict(samples[0]), dict(samples[1])
    both = {key: np.concatenate([first[key], second[key]]) for key in first}
    try:
        (together,) = compute(opened, [both], threads=threads, name=name)
    except ModelError:
        return model
    apart = compute(model, [first, second], threads=threads, name=name)
    wanted = {key: np.concatenate([apart[0][key], apart[1][key]]) for key in apart[0]}
    if any(together[key].shape != array.shape for key, array in wanted.items()):
        return model
    return opened if compare([wanted], [together], max_error=_MAX_ERROR).is_good else model


def _is_single(value: onnx.ValueInfoProto) -> bool:
    dimensions = value.type.tensor_type.shape.dim
    return len(dimensions) > 0 and dimensions[0].dim_value == 1
