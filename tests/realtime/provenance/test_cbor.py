import pytest

from realtime.provenance.cbor import read_item


# RFC 8949, appendix A.
@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("00", 0),
        ("17", 23),
        ("1818", 24),
        ("1903e8", 1000),
        ("1b000000e8d4a51000", 1000000000000),
        ("20", -1),
        ("3903e7", -1000),
        ("f4", False),
        ("f5", True),
        ("f6", None),
        ("4401020304", b"\x01\x02\x03\x04"),
        ("6449455446", "IETF"),
        ("8301820203820405", [1, [2, 3], [4, 5]]),
        ("a201020304", {1: 2, 3: 4}),
        ("a26161016162820203", {"a": 1, "b": [2, 3]}),
        ("c11a514b67b0", (1, 1363896240)),
    ],
)
def test_the_examples_of_the_standard_are_read(data, value):
    assert read_item(bytes.fromhex(data)) == (value, len(data) // 2)


@pytest.mark.parametrize(
    "data",
    [
        "",
        "18",
        "1903",
        "44010203",
        "830102",
        "a101",
        "5f42010243030405ff",  # a length that is not said
        "9f01ff",
        "f97c00",  # a number with a fraction
        "f7",
        "1c",
        "a2010201020304",
        "a180",
        "62c328",  # no UTF-8
        "9b00ffffffffffffff",
        "81" * 40 + "00",
    ],
)
def test_what_is_cut_off_or_strange_is_refused(data):
    with pytest.raises(ValueError, match=r"cbor|utf-8"):
        read_item(bytes.fromhex(data))


def test_what_follows_an_item_is_left_alone():
    assert read_item(b"\x01\x02") == (1, 1)
    assert read_item(b"\x01\x02", 1) == (2, 2)
