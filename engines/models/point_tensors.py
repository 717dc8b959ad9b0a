"""What the networks have in common that place points in a square crop."""

import math

from engines.errors import ModelError
from engines.session import HasTensors, TensorSpec


def crop_side(session: HasTensors, where: str, cure: str) -> int:
    """Side in pixels of the one input, ``(1, S, S, 3)``.

    Args:
        session: the network, or its tensors.
        where: what error messages call it.
        cure: what they say is to be done.

    Raises:
        ModelError: the network takes something else.
    """
    shape = session.inputs[0].shape
    is_square = len(shape) == 4 and shape[1] == shape[2] > 0 and shape[3] == 3
    if len(session.inputs) != 1 or not is_square:
        raise ModelError(
            f"{where}: the network must have one input (1, S, S, 3), got {shape}. {cure}"
        )
    return int(shape[1])


def output_of_size(session: HasTensors, size: int, where: str, cure: str) -> TensorSpec:
    """The first output with so many values; names and order differ between converters.

    Args:
        session: the network, or its tensors.
        size: number of values.
        where: what error messages call the network.
        cure: what they say is to be done.

    Raises:
        ModelError: there is none.
    """
    for spec in session.outputs:
        if math.prod(spec.shape) == size:
            return spec
    raise ModelError(
        f"{where}: the network must have an output of {size} values, "
        f"got {[spec.shape for spec in session.outputs]}. {cure}"
    )
