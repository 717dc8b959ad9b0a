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


def test_hair_hanging_over_one_brow_is_found_and_over_both_it_is_not(zones):
    brow = zones.brow_hair > 0.9
    dark = zones.brow_hair.copy()
    one = np.maximum(dark, ((np.abs(ACROSS - 0.28) < 0.05) & (DOWN < 0.42)) * np.float32(1.0))
    found = hair_over_brow(one, np.zeros_like(one), zones)
    assert found[brow & (np.abs(ACROSS - 0.28) < 0.03)].mean() > 0.8
    assert found[brow & (ACROSS > 0.5)].max() == 0
    both = np.maximum(one, one[:, ::-1])
    assert hair_over_brow(both, np.zeros_like(both), zones).max() == 0
