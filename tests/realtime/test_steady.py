import numpy as np
import pytest
from pydantic import ValidationError

from realtime.face_mesh import INNER_LIPS, LEFT_EYE, OUTER_LIPS, RIGHT_EYE
from realtime.steady import SteadyConfig, SteadyLandmarks, face_unit_px, nearness

pytestmark = pytest.mark.models

EYES_PX = 95.0
MOBILE = sorted({*RIGHT_EYE, *LEFT_EYE, *INNER_LIPS, *OUTER_LIPS})
OTHER = sorted(set(range(468)) - set(MOBILE))
TRUSTED = np.ones(468, np.float32)
NOSE, CHEEK, CHIN = 4, 50, 152


@pytest.fixture(scope="module")
def near(mesh):
    return nearness(mesh.neutral)


@pytest.fixture(scope="module")
def head(mesh):
    """``(468, 3)`` a face whose outer eye corners are 95 pixels apart."""
    return (mesh.neutral * 100 + np.float32([320, 240, 0])).astype(np.float32)


def follow_all(near, measured, truth, rate_hz, *, trust=TRUSTED, **settings):
    """Takes in a sequence whose flow is that of the truth.

    Args:
        near: from ``nearness``.
        measured, truth: ``(T, 468, 3)``.
        rate_hz: of the frames.
        trust: in the flow.
        settings: of the filter.

    Returns:
        ``(T, 468, 3)``, the first as measured.
    """
    steady = settled(near, measured[0], rate_hz, **settings)
    found = [steady.landmarks]
    for now, before, seen in zip(truth[1:], truth[:-1], measured[1:], strict=True):
        carried = steady.landmarks[:, :2] + (now - before)[:, :2].astype(np.float64)
        found.append(steady.follow(seen, carried, trust, round(1e9 / rate_hz)))
    return np.array(found)


def settled(near, landmarks, rate_hz=30, **settings):
    """A filter that has seen a face at rest for a while."""
    steady = SteadyLandmarks(SteadyConfig(**settings), near, landmarks)
    for _ in range(rate_hz):
        carried = steady.landmarks[:, :2].astype(np.float64)
        steady.follow(landmarks, carried, TRUSTED, round(1e9 / rate_hz))
    return steady


def still(head, num):
    return np.repeat(head[None], num, axis=0)


def waved(head, num, rate_hz, wave_hz, reach_px=25.0):
    """A head that goes to and fro."""
    truth = still(head, num).copy()
    truth[..., 0] += reach_px * np.sin(2 * np.pi * wave_hz * np.arange(num) / rate_hz)[:, None]
    return truth


def trembling(truth, size_px):
    """What is measured of it, right in the first frame only."""
    measured = truth + np.random.default_rng(3).normal(0, size_px, truth.shape)
    measured[0] = truth[0]
    return measured.astype(np.float32)


def test_a_still_face_stops_trembling(near, head):
    truth = still(head, 150)
    measured = trembling(truth, 0.5)
    found = follow_all(near, measured, truth, 30)[45:]
    raw = measured[45:].std(axis=0)
    assert (found.std(axis=0).mean(axis=0) <= 0.2 * raw.mean(axis=0)).all()
    assert (np.diff(found, axis=0).std() <= 0.2 * np.diff(measured, axis=0).std()).all()


@pytest.mark.parametrize("wave_hz", [1.0, 3.0])
def test_a_moving_face_does_not_lag_where_the_flow_carries_it(near, head, wave_hz):
    truth = waved(head, 90, 30, wave_hz)
    np.testing.assert_allclose(follow_all(near, truth, truth, 30), truth, atol=0.01)


@pytest.mark.parametrize("wave_hz", [1.0, 3.0])
def test_a_moving_face_trembles_no_more_than_a_still_one(near, head, wave_hz):
    truth = waved(head, 120, 30, wave_hz)
    measured = trembling(truth, 0.5)
    off = (follow_all(near, measured, truth, 30) - truth)[45:]
    assert off.std(axis=0).mean() <= 0.2 * 0.5


def test_a_glitch_of_one_frame_hardly_moves_anything(near, head):
    truth = still(head, 20)
    measured = truth.copy()
    measured[10, :, 0] += 0.1 * EYES_PX
    found = follow_all(near, measured, truth, 30)
    away = np.abs(found - truth)[..., 0].max(axis=0)
    assert 0 < away[OTHER].max() < 0.2 * 0.1 * EYES_PX


def test_an_error_that_lasts_settles(near, head):
    truth = still(head, 120)
    measured = truth.copy()
    measured[1:, :, 1] += 0.15 * EYES_PX
    left = (measured - follow_all(near, measured, truth, 30))[:, CHEEK, 1] / EYES_PX
    assert left[2] > 0.07
    assert left[30] < 0.06
    assert left[119] < 0.02
    assert (np.diff(left[1:]) <= 1e-5).all()


def test_a_flow_that_drifts_is_held_near_what_is_measured(near, head):
    measured = still(head, 150)
    drifting = measured.copy()
    drifting[..., 0] += 0.004 * EYES_PX * np.arange(150)[:, None]
    off = (follow_all(near, measured, drifting, 30) - measured)[:, CHEEK, 0] / EYES_PX
    assert off.max() < 0.1
    assert off.max() < 0.004 * 149 / 5


def test_depth_has_no_flow_and_still_neither_trembles_nor_stays_behind(near, head):
    truth = still(head, 150).copy()
    truth[75:, :, 2] += 0.2 * EYES_PX
    measured = trembling(truth, 0.5)
    depth = follow_all(near, measured, still(head, 150), 30)[:, OTHER, 2]
    assert depth[40:75].std(axis=0).mean() <= 0.15 * 0.5
    assert np.abs(depth[149] - truth[149, OTHER, 2]).max() < 0.07 * EYES_PX


def test_lids_and_lips_are_at_once_where_they_are_seen_where_the_flow_is_lost(near, head):
    truth = still(head, 3)
    measured = truth.copy()
    measured[2, MOBILE, 1] += 0.06 * EYES_PX
    trust = TRUSTED.copy()
    trust[MOBILE] = 0.0
    found = follow_all(near, measured, truth, 30, trust=trust)[2]
    np.testing.assert_allclose(found[MOBILE, :2], measured[2, MOBILE, :2], atol=1e-3)
    np.testing.assert_allclose(found[OTHER, :2], truth[2, OTHER, :2], atol=1e-3)


def test_lids_and_lips_do_not_tremble_where_the_flow_is_trusted(near, head):
    truth = still(head, 3)
    measured = truth.copy()
    measured[2, MOBILE, 1] += 0.003 * EYES_PX
    found = follow_all(near, measured, truth, 30)[2]
    assert (found - truth[2])[MOBILE, 1].max() < 0.1 * 0.003 * EYES_PX


def test_a_large_error_of_lids_and_lips_need_not_prove_to_stay(near, head):
    truth = still(head, 3)
    measured = truth.copy()
    measured[2, :, 1] += 0.1 * EYES_PX
    moved = (follow_all(near, measured, truth, 30) - truth)[2, :, 1]
    assert moved[MOBILE].min() > 3 * moved[OTHER].max() > 0


def test_where_the_flow_is_lost_a_point_goes_with_those_around_it(near, head):
    steady = settled(near, head, cutoff_hz=0, gain_hz=0)
    carried = head[:, :2] + np.float64([6, -2])
    carried[CHEEK] += (40.0, 40.0)
    trust = TRUSTED.copy()
    trust[CHEEK] = 0.0
    found = steady.follow(head, carried, trust, 33_000_000)
    assert (found - head)[CHEEK, :2] == pytest.approx([6, -2], abs=0.2)
    assert (found - head)[NOSE, :2] == pytest.approx([6, -2], abs=0.2)


def test_where_the_flow_is_trusted_a_point_goes_its_own_way(near, head):
    steady = settled(near, head, cutoff_hz=0, gain_hz=0)
    carried = head[:, :2].astype(np.float64)
    carried[CHEEK] += (5.0, 3.0)
    measured = head.copy()
    measured[CHEEK, :2] += (4.0, 2.0)
    found = steady.follow(measured, carried, TRUSTED, 33_000_000)
    assert (found - head)[CHEEK, :2] == pytest.approx([5, 3], abs=1e-3)
    assert np.abs(np.delete(found - head, CHEEK, axis=0)).max() < 1e-3


def test_what_passes_before_a_chin_does_not_take_it_along(near, head):
    steady = settled(near, head, cutoff_hz=0, gain_hz=0)
    chin = [number for number in OTHER if head[number, 1] > head[CHIN, 1] - 0.35 * EYES_PX]
    for _ in range(5):
        carried = steady.landmarks[:, :2] + np.float64([1.5, 0.0])
        carried[chin] += (0.0, -0.1 * EYES_PX)
        measured = head.copy()
        measured[:, 0] = steady.landmarks[:, 0] + 1.5
        found = steady.follow(measured, carried, TRUSTED, 33_000_000)
    away = (found - head)[chin, :2]
    assert np.abs(away[:, 0] - 5 * 1.5).max() < 0.5
    assert np.abs(away[:, 1]).max() < 0.15 * 5 * 0.1 * EYES_PX


def test_lids_and_lips_go_with_the_flow_where_the_network_is_late(near, head):
    steady = settled(near, head, cutoff_hz=0, gain_hz=0)
    carried = head[:, :2].astype(np.float64)
    carried[MOBILE] += (0.0, 0.1 * EYES_PX)
    found = steady.follow(head, carried, TRUSTED, 33_000_000)
    np.testing.assert_allclose(found[MOBILE, :2], carried[MOBILE], atol=1e-3)


def test_without_any_trust_the_face_goes_with_the_mean_of_the_flow(near, head):
    steady = settled(near, head, cutoff_hz=0, gain_hz=0)
    carried = head[:, :2] + np.float64([3, 1])
    found = steady.follow(head, carried, np.zeros(468, np.float32), 33_000_000)
    away = (found - head)[OTHER, :2]
    np.testing.assert_allclose(away, np.broadcast_to((3, 1), away.shape), atol=1e-2)


def test_an_error_settles_in_the_same_time_at_15_and_at_60_hz(near, head):
    left = []
    for rate_hz in (15, 60):
        truth = still(head, rate_hz + 1)
        measured = truth.copy()
        measured[1:, :, 0] += 0.15 * EYES_PX
        off = (measured - follow_all(near, measured, truth, rate_hz))[:, CHEEK, 0] / EYES_PX
        left.append([off[round(rate_hz * seconds)] for seconds in (0.4, 1.0)])
    assert left[0] == pytest.approx(left[1], abs=0.02)
    assert max(left[0]) < 0.11


def test_the_first_frames_of_a_new_face_that_moves_count_alike(near, head):
    ways_px = 2.0 * np.arange(12)
    measured = trembling(still(head, 12), 2.0)
    measured[0] += 3.0
    mean = measured.mean(axis=0)
    measured[..., 0] += ways_px[:, None]
    steady = SteadyLandmarks(SteadyConfig(cutoff_hz=0, gain_hz=0), near, measured[0])
    for seen in measured[1:]:
        carried = steady.landmarks[:, :2].astype(np.float64) + np.array([2.0, 0.0])
        found = steady.follow(seen, carried, TRUSTED, 33_000_000)
    found[:, 0] -= ways_px[-1]
    np.testing.assert_allclose(found, mean, atol=1e-2)


def test_the_first_frames_of_a_face_at_rest_are_soon_forgotten(near, head):
    measured = still(head, 30).copy()
    measured[:6, :, 0] += 1.0
    steady = SteadyLandmarks(SteadyConfig(), near, measured[0])
    for seen in measured[1:]:
        carried = steady.landmarks[:, :2].astype(np.float64)
        found = steady.follow(seen, carried, TRUSTED, 33_000_000)
    # A plain mean would still be off by six parts of thirty.
    assert np.abs(found - head)[OTHER].max() < 0.05


def test_tremble_is_cut_alike_at_15_and_at_60_hz(near, head):
    cut = []
    for rate_hz in (15, 60):
        truth = still(head, 10 * rate_hz)
        measured = trembling(truth, 0.5)
        settled = follow_all(near, measured, truth, rate_hz)[3 * rate_hz :, OTHER]
        # A quarter of the frames averages a quarter of the noise: twice as much is left.
        cut.append(settled.std(axis=0).mean() * np.sqrt(rate_hz))
    assert cut[0] == pytest.approx(cut[1], rel=0.2)


def test_a_face_three_times_as_large_is_treated_alike(near, head):
    truth = waved(head, 40, 30, 1.0)
    measured = trembling(truth, 2.0)
    small = follow_all(near, measured, truth, 30)
    large = follow_all(near, 3 * measured, 3 * truth, 30)
    np.testing.assert_allclose(large, 3 * small, atol=0.02)


def test_settings_say_how_fast_it_follows(near, head):
    # What is measured of a face at rest settles in any case.
    truth = still(head, 40).copy()
    truth[..., 0] += np.arange(40)[:, None]
    measured = truth.copy()
    measured[1:, :, 0] += 0.02 * EYES_PX

    def last_px(**settings):
        return float((follow_all(near, measured, truth, 30, **settings) - truth)[-1, CHEEK, 0])

    assert last_px(cutoff_hz=0.0, gain_hz=0.0) == pytest.approx(0.0, abs=1e-3)
    assert last_px(cutoff_hz=0.0, slack=0.04) == pytest.approx(0.0, abs=1e-3)
    assert last_px(cutoff_hz=0.0, slack=0.0) > 0.5 * 0.02 * EYES_PX
    assert last_px(cutoff_hz=30.0) == pytest.approx(0.02 * EYES_PX, rel=1e-3)


def test_what_is_given_is_left_alone_and_what_is_returned_is_kept(near, head):
    first = head.copy()
    steady = SteadyLandmarks(SteadyConfig(), near, head)
    measured, carried = head + 3, head[:, :2].astype(np.float64) + 1
    copies = measured.copy(), carried.copy()
    found = steady.follow(measured, carried, TRUSTED, 33_000_000)
    assert found is steady.landmarks
    assert found.dtype == np.float32
    for given, copy in zip((head, measured, carried), (first, *copies), strict=True):
        np.testing.assert_array_equal(given, copy)


def test_the_unit_is_the_distance_of_the_outer_eye_corners_seen_from_the_front(head):
    across = np.linalg.norm((head[263] - head[33])[:2])
    assert face_unit_px(head) == pytest.approx(across, rel=0.1)
    assert across == pytest.approx(EYES_PX, rel=0.02)


@pytest.mark.parametrize(
    "angles", [{"yaw": 50}, {"yaw": -50}, {"roll": 40}, {"yaw": 30, "roll": 20}]
)
def test_the_unit_hardly_changes_when_the_head_turns(sitter, angles):
    ahead, turned = (face_unit_px(sitter.landmarks(**how)) for how in ({}, angles))
    assert turned == pytest.approx(ahead, rel=0.25)


def test_the_unit_is_never_nothing():
    assert face_unit_px(np.zeros((468, 3), np.float32)) == 1.0


def test_landmarks_say_less_about_each_other_the_farther_they_are_apart(mesh, near):
    assert near.shape == (468, 468)
    np.testing.assert_allclose(np.diag(near), 1.0)
    np.testing.assert_array_equal(near, near.T)
    apart = np.linalg.norm(mesh.neutral - mesh.neutral[NOSE], axis=1)
    assert (np.diff(near[NOSE][np.argsort(apart)]) <= 1e-6).all()
    at_reach = int(np.argmin(np.abs(apart - 0.25)))
    assert near[NOSE, at_reach] == pytest.approx(np.exp(-0.5), abs=0.03)


@pytest.mark.parametrize(
    "settings", [{"cutoff_hz": -1}, {"slack": 2}, {"gain_hz": -1}, {"speed": 1}]
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValidationError):
        SteadyConfig(**settings)
