import cv2
import numpy as np
import pytest

from cuda_kernels.flow_confidence import flow_confidence

SIZES = [(13, 11), (33, 61), (71, 47)]
SETTINGS = {"tolerance_px": 0.5, "noise": 3.0, "contrast": 8.0}
WINDOW_PX = 5


@pytest.fixture
def measure(device):
    """A function that gives the confidence in a poisoned array."""

    def run(before, now, flow, opposite, **settings):
        out = device.poisoned(now.shape, np.float32)
        given = map(device.put, (before, now, flow, opposite))
        flow_confidence(*given, **{**SETTINGS, **settings}, out=out, stream=device.stream)
        return device.take(out)

    return run


def at(values, x, y):
    """Bilinear in float64, the edge repeated beyond it."""
    height, width = values.shape[:2]
    left, top = np.floor(x), np.floor(y)
    total = 0.0
    for row, down in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, across in ((left, 1 - (x - left)), (left + 1, x - left)):
            rows = np.clip(row, 0, height - 1).astype(int)
            columns = np.clip(column, 0, width - 1).astype(int)
            share = (down * across).reshape(x.shape + (1,) * (values.ndim - 2))
            total = total + share * values[rows, columns].astype(np.float64)
    return total


def defined(before, now, flow, opposite, tolerance_px, noise, contrast):
    """The definition in float64."""
    height, width = now.shape
    rows, columns = np.indices((height, width))
    x, y = columns + flow[..., 0].astype(np.float64), rows + flow[..., 1].astype(np.float64)
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    missed = np.linalg.norm(at(opposite, x, y) + flow, axis=-1)
    difference = np.abs(now.astype(np.float64) - at(before, x, y))
    padded = np.pad(difference, WINDOW_PX // 2, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (WINDOW_PX, WINDOW_PX))
    error = np.maximum(windows.mean(axis=(2, 3)) - noise, 0)
    return np.exp(-((missed / tolerance_px) ** 2) - (error / contrast) ** 2) * inside


def smooth(rng, shape, sigma_px, size):
    """A random field, without sharp edges, of about this size."""
    field = cv2.GaussianBlur(rng.normal(0, 1, shape).astype(np.float32), (0, 0), sigma_px)
    return np.asarray(field / max(field.std(), 1e-6) * size, np.float32)


def still(size):
    return np.zeros((*size, 2), np.float32)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seed", range(3))
def test_it_is_what_is_left_of_trust_by_both_doubts(measure, size, seed):
    rng = np.random.default_rng(seed)
    before = np.clip(128 + smooth(rng, size, 3, 40), 0, 255).astype(np.uint8)
    now = np.clip(before + smooth(rng, size, 4, 9), 0, 255).astype(np.uint8)
    flow = smooth(rng, (*size, 2), 3, min(size) / 20)
    opposite = -flow + smooth(rng, (*size, 2), 3, 0.2)
    settings = {"tolerance_px": 0.7, "noise": 2.5, "contrast": 6.0}
    measured = measure(before, now, flow, opposite, **settings)
    wanted = defined(before, now, flow, opposite, **settings)
    assert measured == pytest.approx(wanted, abs=0.03)
    assert np.ptp(wanted) > 0.3


def test_a_still_picture_is_trusted_in_full(measure):
    picture = np.random.default_rng(1).integers(0, 256, (13, 17), np.uint8)
    assert (measure(picture, picture, still((13, 17)), still((13, 17))) == 1.0).all()


def test_trust_falls_to_one_over_e_where_there_and_back_miss_by_the_tolerance(measure):
    picture = np.full((9, 11), 90, np.uint8)
    opposite = still((9, 11))
    opposite[..., 1] = 0.5
    trust = measure(picture, picture, still((9, 11)), opposite, tolerance_px=0.5)
    assert trust == pytest.approx(np.full((9, 11), np.exp(-1)), abs=1e-4)


def test_a_way_back_is_a_way_there_turned_around(measure):
    picture = np.full((31, 31), 90, np.uint8)
    flow = np.full((31, 31, 2), (2.0, -1.0), np.float32)
    assert measure(picture, picture, flow, -flow)[15, 15] == 1.0
    assert measure(picture, picture, flow, flow)[15, 15] < 1e-6


def test_the_way_back_is_asked_where_the_way_there_leads(measure):
    picture = np.full((15, 21), 90, np.uint8)
    flow, opposite = still((15, 21)), still((15, 21))
    flow[7, 5] = (6.0, 0.0)
    opposite[7, 11] = (-6.0, 0.0)
    trust = measure(picture, picture, flow, opposite)
    assert trust[7, 5] == 1.0
    assert trust[7, 11] < 1e-6
    assert measure(picture, picture, flow, still((15, 21)))[7, 5] < 1e-6


def test_a_change_of_look_counts_beyond_the_noise_and_in_the_contrasts_measure(measure):
    before = np.full((9, 9), 100, np.uint8)
    nothing, some, much = (
        measure(before, before + np.uint8(step), still((9, 9)), still((9, 9)))[4, 4]
        for step in (3, 11, 60)
    )
    assert nothing == 1.0
    assert some == pytest.approx(np.exp(-1), abs=1e-4)
    assert much < 1e-6


def test_brighter_and_darker_are_doubted_alike(measure):
    before, still_flow = np.full((9, 9), 100, np.uint8), still((9, 9))
    brighter = measure(before, np.full((9, 9), 112, np.uint8), still_flow, still_flow)
    darker = measure(before, np.full((9, 9), 88, np.uint8), still_flow, still_flow)
    np.testing.assert_allclose(brighter, darker, atol=1e-6)


def test_the_look_is_judged_over_five_pixels(measure):
    before = np.full((15, 15), 100, np.uint8)
    now = before.copy()
    now[7, 7] = 250
    doubted = measure(before, now, still((15, 15)), still((15, 15)), noise=0.0) < 0.9999
    rows, columns = np.nonzero(doubted)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (5, 9, 5, 9)


def test_what_comes_from_outside_the_picture_is_not_trusted_at_all(measure):
    picture = np.full((9, 13), 90, np.uint8)
    for step, outside in (
        ((-2.0, 0.0), np.s_[:, :2]),
        ((2.0, 0.0), np.s_[:, -2:]),
        ((0.0, -2.0), np.s_[:2]),
        ((0.0, 2.0), np.s_[-2:]),
    ):
        flow = np.full((9, 13, 2), step, np.float32)
        wanted = np.ones((9, 13), np.float32)
        wanted[outside] = 0.0
        np.testing.assert_array_equal(measure(picture, picture, flow, -flow), wanted)
