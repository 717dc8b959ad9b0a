import numpy as np
import pytest

from realtime.face_zones import MAP_PX
from realtime.strands import find_strands, hair_over_brow

pytestmark = pytest.mark.models

DOWN, ACROSS = np.mgrid[:MAP_PX, :MAP_PX].astype(np.float32) / MAP_PX


def test_a_dark_narrow_strand_is_bridged_and_a_wrinkle_is_none(zones):
    bare = (zones.forehead > 0.9) & (zones.brows < 0.01) & (zones.depth > 0.05)
    column = bare & (np.abs(ACROSS - 0.5) < 0.006)
    for darkness, is_strand in ((0.9, True), (0.2, False)):
        shade = np.where(np.abs(ACROSS - 0.5) < 0.006, -darkness, 0.0).astype(np.float32)
        bridged, strands = find_strands(shade, zones)
        assert (strands[column].mean() > 0.8) == is_strand
        assert bridged[column].min() >= -0.1


def hung_with(zones, *columns):
    """What is not skin where hair hangs down over these columns, and brows."""
    hair = [(np.abs(ACROSS - middle) < half) & (DOWN < 0.42) for middle, half in columns]
    return np.maximum(zones.brow_hair, np.any(hair, axis=0)).astype(np.float32)


def test_hair_hanging_over_a_brow_is_found_and_the_other_one_kept_whole(zones):
    brow = zones.brow_hair > 0.9
    foreign = hung_with(zones, (0.28, 0.1), (0.85, 0.1))
    found = hair_over_brow(foreign, np.zeros_like(foreign), zones)
    assert found[brow & (np.abs(ACROSS - 0.28) < 0.08)].mean() > 0.8
    assert found[brow & (ACROSS > 0.5)].max() == 0


def test_both_brows_under_hair_are_kept(zones):
    foreign = hung_with(zones, (0.28, 0.1), (0.72, 0.1))
    assert hair_over_brow(foreign, np.zeros_like(foreign), zones).max() == 0


def test_the_ends_of_brows_that_are_lost_in_hair_go_with_it(zones):
    brow = zones.brow_hair > 0.9
    # Beside them skin shows through above, so that nothing hangs without a gap.
    beside = (np.abs(ACROSS - 0.5) > 0.23) & (DOWN > 0.1) & (DOWN < 0.42)
    hair = (beside & ~brow & (zones.face > 0.5)).astype(np.float32)
    found = hair_over_brow(np.maximum(hair, zones.brow_hair), hair, zones)
    ends = brow & (np.abs(ACROSS - 0.5) > 0.25)
    assert ends.any()
    assert found[ends].mean() > 0.8
    assert found[brow & (np.abs(ACROSS - 0.5) < 0.18)].max() == 0


def test_brows_without_hair_around_are_no_hair(zones):
    nothing = np.zeros_like(zones.face)
    assert hair_over_brow(zones.brow_hair.copy(), nothing, zones).max() == 0
