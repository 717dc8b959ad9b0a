"""Expands TFLite's sparse tensors, the storage behind the DENSIFY operator.

The format is TACO's: a tree of levels in traversal order, each level dense (every position) or
compressed (``segments`` per parent and the ``indices`` in it). Blocks split a dimension in an outer
level, counted in blocks, and an inner one. See TensorFlow's ``schema.fbs``, ``SparsityParameters``.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.models.tflite_reader import Sparsity

Array = NDArray[Any]


def densify(values: Array, shape: tuple[int, ...], sparsity: Sparsity) -> Array:
    """Spreads the stored values over the dense shape, zeros elsewhere.

    Args:
        values: (n,) stored values in traversal order.
        shape: dense shape.
        sparsity: the index tree.

    Returns:
        An array of ``shape`` and the type of ``values``.

    Raises:
        ValueError: the index tree does not fit the shape or the number of values.
    """
    # Every level is stored in the file or as long as one that is, so the file bounds the work.
    longest = max(
        (dim.segments.size for dim in sparsity.dims if dim.segments is not None), default=0
    )
    coordinates = _leaf_coordinates(sparsity, max(values.size, longest))
    if coordinates.shape[1] != values.size:
        raise ValueError(f"{values.size} sparse values for {coordinates.shape[1]} positions")
    positions = _dense_coordinates(coordinates, shape, sparsity)
    for axis, size in enumerate(shape):
        if positions[axis].size and not 0 <= positions[axis].min() <= positions[axis].max() < size:
            raise ValueError(f"sparse index outside dimension {axis} of {shape}")
    dense = np.zeros(shape, values.dtype)
    dense[tuple(positions)] = values
    return dense


def _leaf_coordinates(sparsity: Sparsity, limit: int) -> Array:
    """Coordinates (levels, n) of every stored value, in level order, ``limit`` at most."""
    paths = np.zeros((0, 1), np.int64)
    for dim in sparsity.dims:
        num_parents = paths.shape[1]
        if dim.segments is None or dim.indices is None:
            if num_parents * dim.dense_size > limit:
                raise ValueError(f"more than {limit} positions in a sparse tensor")
            counts = np.full(num_parents, dim.dense_size, np.int64)
            own = np.tile(np.arange(dim.dense_size, dtype=np.int64), num_parents)
        else:
            counts = np.diff(dim.segments)
            if dim.segments.size != num_parents + 1 or dim.segments[0] != 0 or (counts < 0).any():
                raise ValueError("sparse segments do not match their parents")
            own = dim.indices
        if int(counts.sum()) != own.size:
            raise ValueError("sparse indices do not match their segments")
        paths = np.vstack([np.repeat(paths, counts, axis=1), own[None]])
    return paths


def _dense_coordinates(levels: Array, shape: tuple[int, ...], sparsity: Sparsity) -> list[Array]:
    """Undoes traversal order and blocks: one coordinate array for each dimension of ``shape``."""
    rank = len(shape)
    by_dim = {dim: levels[level] for level, dim in enumerate(sparsity.traversal_order)}
    size_of = dict(zip(sparsity.traversal_order, sparsity.dims, strict=True))
    positions = [by_dim[dim] for dim in range(rank)]
    for number, blocked_dim in enumerate(sparsity.block_map):
        inner = rank + number
        positions[blocked_dim] = positions[blocked_dim] * size_of[inner].dense_size + by_dim[inner]
    return positions
