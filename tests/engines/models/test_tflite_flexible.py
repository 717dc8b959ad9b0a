import numpy as np
import pytest
from flatbuffers import flexbuffers

from engines.models.tflite_flexible import read_integers, read_map, read_number


@pytest.fixture
def data():
    builder = flexbuffers.Builder()
    with builder.Map():
        builder.Float("ratio", 1.5)
        builder.Int("size", 16)
        builder.Key("numbers")
        builder.TypedVectorFromElements([3, -70000, 5])
    return bytes(builder.Finish())


def test_numbers_and_lists_of_integers_are_read_by_name(data):
    options = read_map(data)
    assert read_number(options, "ratio") == 1.5
    assert read_number(options, "size") == 16
    assert read_integers(options, "numbers") == [3, -70000, 5]


@pytest.mark.parametrize(
    ("read", "name"),
    [
        (read_number, "missing"),
        (read_number, "numbers"),
        (read_integers, "ratio"),
        (read_integers, "missing"),
    ],
)
def test_what_is_not_there_is_refused_by_name(data, read, name):
    with pytest.raises(ValueError, match=f"'{name}'"):
        read(read_map(data), name)


@pytest.mark.parametrize("data", [b"", b"\x01", flexbuffers.Dumps([1, 2]), flexbuffers.Dumps(3.0)])
def test_what_is_no_map_is_refused(data):
    with pytest.raises(ValueError, match="must be a map"):
        read_map(bytes(data))


def test_flipped_bytes_end_in_values_or_a_refusal(data):
    rng = np.random.default_rng(3)
    refused = 0
    for _ in range(3000):
        damaged = bytearray(data)
        for position in rng.integers(0, len(data), rng.integers(1, 4)):
            damaged[position] = rng.integers(256)
        try:
            options = read_map(bytes(damaged))
            assert np.isfinite(read_number(options, "ratio"))
            assert len(read_integers(options, "numbers")) <= 1 << 12
        except ValueError:
            refused += 1
    assert 100 < refused < 3000
