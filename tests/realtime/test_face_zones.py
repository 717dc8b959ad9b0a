from dataclasses import fields

import numpy as np
import pytest

from realtime.face_mesh import (
    INNER_LIPS,
    LEFT_BROW,
    LEFT_EYE,
    NOSTRILS,
    OVAL,
    RIGHT_BROW,
    RIGHT_EYE,
)
from realtime.face_zones import MAP_PX, FaceZones, smoothstep

pytestmark = pytest.mark.models

NAMES = [field.name for field in fields(FaceZones)]
HARD_EDGED = 0.5


def middle(mask):
    """Row and column of a mask's middle, 0..1."""
    down, across = np.nonzero(mask > HARD_EDGED)
    return down.mean() / MAP_PX, across.mean() / MAP_PX


def at(mask, mesh, points):
    """A mask's values at landmarks."""
    cells = np.clip(np.round(mesh.layout[list(points)] * MAP_PX).astype(int), 0, MAP_PX - 1)
    return mask[cells[:, 1], cells[:, 0]]


@pytest.mark.parametrize("name", NAMES)
def test_every_zone_is_a_soft_mask_on_the_map(zones, name):
    mask = getattr(zones, name)
    assert mask.shape == (MAP_PX, MAP_PX)
    assert mask.dtype == np.float32
    assert mask.min() >= 0
    assert 0 < mask.max() <= 1
    assert mask.max() > (0.3 if name in ("depth", "aside") else 0.9)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "down"])
def test_zones_are_the_same_on_both_sides(zones, name):
    mask = getattr(zones, name)
    # A shape's drawn edge may lie a pixel further on one side.
    assert np.abs(mask - mask[:, ::-1]).mean() < 0.004


def test_zones_lie_above_each_other_as_in_a_face(zones):
    order = ["forehead", "brow_hair", "eyes", "cheeks", "nostrils", "lips", "chin"]
    heights = [middle(getattr(zones, name))[0] for name in order]
    assert heights == sorted(heights)
    assert np.diff(heights).min() > 0.01


def test_zones_cover_the_landmarks_they_are_named_after(zones, mesh):
    assert at(zones.brow_hair, mesh, RIGHT_BROW + LEFT_BROW).min() > HARD_EDGED
    assert at(zones.brows, mesh, RIGHT_BROW + LEFT_BROW).min() > HARD_EDGED
    assert at(zones.eyes, mesh, RIGHT_EYE + LEFT_EYE).min() > HARD_EDGED
    assert at(zones.sockets, mesh, RIGHT_EYE + LEFT_EYE + RIGHT_BROW).min() > HARD_EDGED
    assert at(zones.lips, mesh, INNER_LIPS).min() > HARD_EDGED
    assert at(zones.nostrils, mesh, NOSTRILS).min() > HARD_EDGED


def test_features_and_flat_skin_keep_apart(zones):
    features = np.maximum.reduce([zones.brows, zones.eyes, zones.lips, zones.nostrils])
    assert zones.flat[features > HARD_EDGED].max() == 0
    assert (zones.cheeks <= zones.flat).all()
    assert zones.lips[zones.chin > 0].max() < 0.1
    assert not (zones.brow_hair > zones.brows).any()
    assert not (zones.brows[zones.eyes > HARD_EDGED] > HARD_EDGED).all()


def test_depth_grows_from_the_outline_inwards(zones, mesh):
    assert at(zones.depth, mesh, OVAL).max() < 0.01
    assert zones.depth[zones.face < 0.1].max() == 0
    assert zones.depth[MAP_PX // 2, MAP_PX // 2] > 0.3
    steps = np.abs(np.diff(zones.depth, axis=0))
    assert steps.max() < 1.5 / MAP_PX


def test_forehead_cheeks_and_chin_lie_in_the_face(zones):
    for name in ("forehead", "chin"):
        assert not getattr(zones, name)[zones.face < 0.1].any()
    assert zones.face[zones.cheeks > HARD_EDGED].min() > HARD_EDGED
    assert zones.forehead[zones.lips > HARD_EDGED].max() == 0


def test_a_smooth_step_starts_and_ends_level():
    x = np.linspace(-1, 3, 401).astype(np.float32)
    step = smoothstep(x, 0.5, 1.5)
    assert (step[x <= 0.5] == 0).all()
    assert (step[x >= 1.5] == 1).all()
    assert step[200] == pytest.approx(0.5)
    assert (np.diff(step) >= 0).all()
    np.testing.assert_allclose(step + step[::-1], 1, atol=1e-6)
    slope = np.gradient(step, x)
    assert slope[[151, 249]].max() < 0.1
    assert slope.max() == pytest.approx(1.5, abs=0.01)
