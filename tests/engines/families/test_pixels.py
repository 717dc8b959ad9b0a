"""Ranges of pixels, against what the adapters write into a network's input."""

import numpy as np
import pytest

from engines.families.pixels import pixel_ranges
from engines.families.tensors import PictureWriter
from engines.models.catalogue import bundled_catalogue
from engines.profiles import USUAL_RANGES

FAMILIES = bundled_catalogue().families


@pytest.mark.parametrize(
    "name", [name for name, family in FAMILIES.items() if hasattr(family, "mean")]
)
def test_black_and_white_are_the_ends_of_what_the_adapter_writes(name):
    family = FAMILIES[name]
    writer = PictureWriter(family.mean, family.std, "rgb", np.dtype(np.float32))
    planes = np.empty((3, 16, 16), np.float32)
    ends = []
    for value, end in ((0, np.min), (255, np.max)):
        writer.write(np.full((16, 16, 3), value, np.uint8), planes=planes)
        ends.append(float(end(planes)))
    assert pixel_ranges(family)[0] == pytest.approx(ends, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "ranges"),
    [
        ("yunet", ((0.0, 255.0),)),
        ("inswapper", ((0.0, 1.0),)),
        ("restorer_512", ((-1.0, 1.0),)),
        ("crossface", USUAL_RANGES),
    ],
)
def test_some_that_are_known(name, ranges):
    assert pixel_ranges(FAMILIES[name]) == ranges


def test_a_swapper_that_is_shown_a_picture_gets_both_ranges():
    for name, family in FAMILIES.items():
        source = getattr(family, "source", None)
        if getattr(source, "kind", "") == "picture":
            assert (0.0, 1.0) in pixel_ranges(family), name


def test_what_is_in_no_family_may_be_in_any_usual_range():
    assert pixel_ranges(None) == USUAL_RANGES
