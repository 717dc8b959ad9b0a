import numpy as np
import pytest

from engines.self_check import Comparison, compare

PICTURE = np.linspace(0, 1, 100, dtype=np.float32).reshape(10, 10)


def compared(got, wanted=PICTURE):
    return compare([{"y": wanted}], [{"y": np.asarray(got, np.float32)}])


def test_the_same_is_good_and_without_error():
    assert compared(PICTURE) == Comparison(0.0, "")
    assert compared(PICTURE).is_good


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_single_value_that_is_no_number_is_a_fault(bad):
    got = PICTURE.copy()
    got[3, 4] = bad
    assert compared(got).fault == "y holds NaN or infinity"


def test_a_black_picture_is_a_fault_with_its_own_name():
    assert compared(np.zeros_like(PICTURE)).fault == "y is blank"


def test_a_black_picture_is_right_where_the_reference_is_black_too():
    black = np.zeros_like(PICTURE)
    assert compared(black, black).is_good


def test_the_error_is_the_length_of_the_difference_over_that_of_the_reference():
    found = compared(PICTURE * 1.01)
    assert found.is_good
    assert found.error == pytest.approx(0.01, rel=1e-4)
    assert compared(PICTURE * 1.05).fault == "y is off by 0.05, more than 0.02"


def test_the_worst_output_decides_and_a_fault_outweighs_an_error():
    wanted = [{"a": PICTURE, "b": PICTURE}, {"a": PICTURE, "b": PICTURE}]
    got = [{"a": PICTURE, "b": PICTURE * 1.015}, {"a": PICTURE * 0, "b": PICTURE}]
    assert compare(wanted, got).fault == "a is blank"
    assert compare(wanted[:1], got[:1]).error == pytest.approx(0.015, rel=1e-3)


def test_a_sample_with_hardly_anything_in_it_does_not_decide():
    faint = PICTURE * 1e-4
    wanted = [{"y": PICTURE}, {"y": faint}]
    found = compare(wanted, [{"y": PICTURE}, {"y": faint * 1.5}])
    assert found.is_good
    assert found.error == pytest.approx(0.5e-4, rel=1e-3)


def test_a_sample_too_few_is_noticed():
    with pytest.raises(ValueError, match="shorter"):
        compare([{"y": PICTURE}], [])
