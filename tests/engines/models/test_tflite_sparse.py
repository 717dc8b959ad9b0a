import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.models.tflite_reader import SparseDim, Sparsity
from engines.models.tflite_sparse import densify


def dense_level(size):
    return SparseDim(size, None, None)


def csr_level(segments, indices):
    return SparseDim(0, np.array(segments, np.int64), np.array(indices, np.int64))


def test_compressed_rows_spread_over_the_dense_matrix():
    sparsity = Sparsity((0, 1), (), (dense_level(3), csr_level([0, 2, 2, 3], [0, 3, 1])))
    dense = densify(np.array([1, 2, 3], np.float16), (3, 4), sparsity)
    np.testing.assert_array_equal(dense, [[1, 0, 0, 2], [0, 0, 0, 0], [0, 3, 0, 0]])
    assert dense.dtype == np.float16


def test_blocks_put_the_inner_level_inside_the_outer_one():
    # The example of TensorFlow's schema.fbs: a 4x4 matrix in 2x2 blocks, compressed by columns.
    sparsity = Sparsity(
        (0, 1, 2, 3),
        (0, 1),
        (dense_level(2), csr_level([0, 2, 3], [0, 1, 1]), dense_level(2), dense_level(2)),
    )
    values = np.array([1, 0, 0, 4, 2, 3, 0, 0, 5, 0, 0, 6], np.float32)
    dense = densify(values, (4, 4), sparsity)
    expected = [[1, 0, 2, 3], [0, 4, 0, 0], [0, 0, 5, 0], [0, 0, 0, 6]]
    np.testing.assert_array_equal(dense, expected)


def encode(dense, order, compressed):
    """The format's encoder: a tree over the levels, empty subtrees left out of compressed ones."""
    turned = dense.transpose(order)
    prefixes, dims = [()], []
    for level, size in enumerate(turned.shape):
        children, segments, indices = [], [0], []
        for prefix in prefixes:
            kept = [i for i in range(size) if not compressed[level] or turned[(*prefix, i)].any()]
            children += [(*prefix, i) for i in kept]
            indices += kept
            segments.append(len(indices))
        prefixes = children
        dims.append(csr_level(segments, indices) if compressed[level] else dense_level(size))
    values = np.array([turned[prefix] for prefix in prefixes], dense.dtype)
    return values, Sparsity(tuple(order), (), tuple(dims))


@given(data=st.data())
def test_any_order_and_any_mix_of_levels_gives_the_tensor_back(data):
    shape = tuple(data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)))
    seed = data.draw(st.integers(0, 1000))
    rng = np.random.default_rng(seed)
    dense = (rng.integers(1, 9, shape) * (rng.random(shape) < 0.4)).astype(np.float32)
    order = data.draw(st.permutations(range(len(shape))))
    compressed = data.draw(st.lists(st.booleans(), min_size=len(shape), max_size=len(shape)))
    values, sparsity = encode(dense, order, compressed)
    np.testing.assert_array_equal(densify(values, shape, sparsity), dense)


@pytest.mark.parametrize(
    ("dims", "num_values"),
    [
        ((dense_level(3), csr_level([0, 2, 2], [0, 3])), 2),
        ((dense_level(3), csr_level([0, 2, 1, 3], [0, 3, 1])), 3),
        ((dense_level(3), csr_level([0, 2, 2, 3], [0, 3])), 3),
        ((dense_level(3), csr_level([0, 2, 2, 3], [0, 4, 1])), 3),
        ((dense_level(3), csr_level([0, 2, 2, 3], [0, -1, 1])), 3),
        ((dense_level(3), csr_level([0, 2, 2, 3], [0, 3, 1])), 2),
        ((dense_level(1 << 28), dense_level(1 << 28)), 2),
    ],
    ids=["few segments", "falling", "few indices", "beyond", "negative", "few values", "vast"],
)
def test_an_index_tree_that_does_not_fit_is_refused(dims, num_values):
    with pytest.raises(ValueError, match="sparse"):
        densify(np.ones(num_values, np.float32), (3, 4), Sparsity((0, 1), (), dims))
