import numpy as np
import pytest

from realtime import occluder_finder

SIDE = 64


def test_the_share_is_that_of_the_face_inside_its_outline():
    angle = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    points = np.zeros((468, 2), np.float32)
    outline = 32 + 20 * np.stack([np.sin(angle), -np.cos(angle)], axis=1)
    points[list(occluder_finder.OVAL)] = outline
    half = np.zeros((SIDE, SIDE), np.uint8)
    half[32:] = 255
    assert occluder_finder.hidden_share(half, points) == pytest.approx(0.5, abs=0.03)
    assert occluder_finder.hidden_share(np.full_like(half, 255), points) == 1.0
    assert occluder_finder.hidden_share(np.zeros_like(half), points) == 0.0
