import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from realtime.feature_memory import FeatureMemory, MemoryConfig
from realtime.frame import Motion
from realtime.geometry import apply, invert

PERIOD_NS = 33_333_333
VIEW_PX = 72
FREE = {"limit": 255.0}


def shifted(dx, dy, scale=1.0):
    return np.float64([[scale, 0, dx], [0, scale, dy]])


AT = shifted(0, 0)


def motion(flow=(0, 0), *, now=AT, before=AT, confidence=1.0):
    """The same flow everywhere."""
    size = (VIEW_PX, VIEW_PX)
    return Motion(
        now,
        before,
        np.full((*size, 2), flow, np.float32),
        np.broadcast_to(np.float32(confidence), size).copy(),
    )


def flat(value, size=(40, 48)):
    return np.full((*size, 4), value, np.float32)


def board(low, high, size=(40, 48)):
    """Fine detail only: no 2 x 2 pixels differ in their mean."""
    rows, columns = np.indices(size)
    cells = np.where((rows + columns) % 2, high, low).astype(np.float32)
    return np.repeat(cells[..., None], 4, axis=-1)


def texture(sigma_px, seed=2):
    """``(160, 160, 4)`` smooth noise about 128."""
    noise = np.random.default_rng(seed).normal(0, 1, (160, 160, 4)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), sigma_px)
    return np.float32(128) + np.float32(40) * blurred / blurred.std()


def crop(world, crop_from_image, size=(40, 48)):
    """What a crop shows of a picture."""
    return cv2.warpAffine(world, crop_from_image, size[::-1], flags=cv2.INTER_CUBIC)


def fused(memory, current, moved=None, *, elapsed_ns=PERIOD_NS, reliability=1.0, at=AT):
    """A copy of what comes out, to keep."""
    shown = memory.fuse(
        current, at, moved or motion(), elapsed_ns=elapsed_ns, reliability=reliability
    )
    return shown.copy()


def remembering(current, *, at=AT, reliability=1.0, **settings):
    """A memory that has seen one frame."""
    memory = FeatureMemory(MemoryConfig(**({"still_weight": 0.0} | settings)))
    memory.fuse(current, at, None, elapsed_ns=0, reliability=reliability)
    return memory


def test_the_first_frame_is_shown_as_it_is():
    memory = FeatureMemory(MemoryConfig())
    current = board(10, 30)
    assert memory.trust == 0.0
    np.testing.assert_array_equal(fused(memory, current), current)
    assert memory.trust == 1.0


def test_without_motion_it_begins_afresh():
    memory = remembering(flat(50), **FREE)
    shown = memory.fuse(flat(150), AT, None, elapsed_ns=PERIOD_NS, reliability=0.5)
    np.testing.assert_array_equal(shown, flat(150))
    assert memory.trust == 0.5


def test_at_30_hz_it_is_seven_parts_of_memory_and_three_of_now():
    before, now = board(40, 80), board(100, 60)
    memory = remembering(before, weight=0.7, **FREE)
    shown = fused(memory, now)
    # Both have the mean of their own light, which is held longer.
    detail = [part - part.mean() for part in (shown, before, now)]
    np.testing.assert_allclose(detail[0], 0.7 * detail[1] + 0.3 * detail[2], atol=1e-3)


def test_the_memory_is_blended_where_the_flow_says_it_was():
    before = board(0, 0)
    before[10:14, 10:14] = board(-40, 40, (4, 4))
    memory = remembering(before, weight=0.7, **FREE)
    shown = fused(memory, flat(0), motion((-4, 2)))
    wanted = flat(0)
    # What was at (10, 10) was seen by a pixel four to the right and two up.
    wanted[8:12, 14:18] = 0.7 * board(-40, 40, (4, 4))
    np.testing.assert_allclose(shown, wanted, atol=1e-3)


@pytest.mark.parametrize("frames", [(board(40, 80), board(100, 60)), (flat(60), flat(140))])
def test_two_steps_at_60_hz_are_one_at_30_hz(frames):
    before, now = frames
    slow, fast = (remembering(before, **FREE) for _ in range(2))
    fused(fast, now, elapsed_ns=PERIOD_NS // 2)
    twice = fused(fast, now, elapsed_ns=PERIOD_NS - PERIOD_NS // 2)
    once = fused(slow, now)
    np.testing.assert_allclose(twice, once, atol=1e-2)
    assert np.abs(once - now).max() > 10


def test_a_memory_that_is_tuned_anew_keeps_what_it_knows_and_counts_for_another_share():
    memory = remembering(flat(100.0))
    memory.retune(MemoryConfig(weight=0.5, still_weight=0.5))
    np.testing.assert_allclose(fused(memory, flat(120.0), motion()), 110.0, atol=2.5)


def test_light_is_remembered_longer_than_detail():
    memory = remembering(flat(100) + board(-20, 20), **FREE)
    for _ in range(3):
        shown = fused(memory, flat(0))
    light, detail = shown.mean(), shown.max() - shown.mean()
    assert detail / 20 == pytest.approx(0.7**3, abs=0.01)
    assert light / 100 == pytest.approx(0.7 ** (3 / 1.4), abs=0.01)


def test_a_band_between_is_remembered_for_a_time_between():
    rows, columns = np.indices((40, 48))
    squares = np.where((rows // 2 + columns // 2) % 2, 20, -20).astype(np.float32)
    memory = remembering(np.repeat(squares[..., None], 4, axis=-1), **FREE)
    left = np.abs(fused(memory, flat(0))).mean() / 20
    assert 0.7 < left < 0.7 ** (1 / 1.4)


def test_where_the_flow_is_not_trusted_it_forgets():
    confidence = np.ones((VIEW_PX, VIEW_PX), np.float32)
    confidence[:, :24] = 0.0
    memory = remembering(flat(100), **FREE)
    shown = fused(memory, flat(0), motion(confidence=confidence))
    # Light is remembered in pixels of quarter size.
    assert np.abs(shown[:, :16]).max() < 1e-3
    assert np.abs(shown[:, :20]).max() < 0.5
    assert shown[:, 28:].min() > 60


def test_a_hard_edge_of_trust_is_softened_by_two_pixels_at_most():
    confidence = np.ones((VIEW_PX, VIEW_PX), np.float32)
    confidence[:, :24] = 0.0
    detail = board(-40, 40)
    memory = remembering(detail, **FREE)
    share = (fused(memory, flat(0), motion(confidence=confidence)) / detail).mean(axis=(0, 2))
    assert np.abs(share[:22]).max() < 0.01
    assert share[26:] == pytest.approx(np.full(22, 0.7), abs=0.01)
    assert (np.diff(share[20:28]) >= -0.01).all()


def test_trust_by_half_counts_by_half():
    memory = remembering(board(-20, 20), **FREE)
    shown = fused(memory, flat(0), motion(confidence=0.5))
    np.testing.assert_allclose(shown, 0.5 * 0.7 * board(-20, 20), atol=1e-3)


def test_what_comes_from_beyond_the_memory_is_shown_as_it_is():
    memory = remembering(flat(100), **FREE)
    shown = fused(memory, flat(0), motion((-12, 0)))
    assert np.abs(shown[:, :8]).max() < 1e-3
    assert shown[:, 16:].min() > 60


def test_a_ghost_is_held_to_the_colours_around():
    memory = remembering(flat(250), limit=12.0)
    assert fused(memory, flat(100)).max() <= 112.0


def test_a_frame_that_cannot_be_relied_on_is_filled_from_memory():
    memory = remembering(board(60, 100), limit=12.0)
    shown = fused(memory, flat(255), reliability=0.0)
    np.testing.assert_allclose(shown, board(60, 100), atol=0.01)


def test_where_the_flow_is_not_trusted_even_an_unreliable_frame_is_shown():
    memory = remembering(flat(80), limit=12.0)
    shown = fused(memory, flat(255), motion(confidence=0.0), reliability=0.0)
    np.testing.assert_allclose(shown, flat(255), atol=0.01)


def test_the_less_a_frame_is_relied_on_the_more_the_memory_counts():
    shares = [
        np.abs(fused(remembering(board(-40, 40), **FREE), flat(0), reliability=r)).mean() / 40
        for r in (1.0, 0.75, 0.5, 0.0)
    ]
    assert shares == pytest.approx([0.7, 0.775, 0.85, 1.0], abs=1e-3)


def test_an_unreliable_memory_does_not_hold_back_an_unreliable_frame():
    memory = remembering(board(-40, 40), reliability=0.0, **FREE)
    shown = fused(memory, flat(0), reliability=0.0)
    np.testing.assert_allclose(shown, 0.7 * board(-40, 40), atol=1e-3)


def test_trust_halves_in_each_half_life_without_a_reliable_frame():
    memory = remembering(flat(80), half_life_ms=150.0)
    trusts = []
    for _ in range(3):
        fused(memory, flat(80), elapsed_ns=150_000_000, reliability=0.0)
        trusts.append(memory.trust)
    assert trusts == pytest.approx([0.5, 0.25, 0.125])
    memory.recall(motion(), elapsed_ns=75_000_000)
    assert memory.trust == pytest.approx(0.125 * 0.5**0.5)


def test_trust_comes_back_with_reliable_frames():
    memory = remembering(flat(80), reliability=0.0, half_life_ms=10_000.0)
    trusts = []
    for _ in range(4):
        fused(memory, flat(80), elapsed_ns=1_000_000)
        trusts.append(memory.trust)
    assert trusts == pytest.approx([0.5, 0.75, 0.875, 0.9375], abs=1e-3)


def test_trust_does_not_fade_while_frames_can_be_relied_on():
    memory = remembering(flat(80), half_life_ms=150.0)
    fused(memory, flat(80), elapsed_ns=150_000_000)
    assert memory.trust == 1.0
    fused(memory, flat(80), elapsed_ns=150_000_000, reliability=0.5)
    assert 0.5 < memory.trust < 1.0


def test_nothing_is_recalled_where_nothing_was_seen():
    assert FeatureMemory(MemoryConfig()).recall(motion(), elapsed_ns=PERIOD_NS) is None


def test_after_a_reset_nothing_is_left():
    memory = remembering(flat(80))
    memory.reset()
    assert memory.trust == 0.0
    assert memory.recall(motion(), elapsed_ns=PERIOD_NS) is None
    np.testing.assert_array_equal(fused(memory, flat(10)), flat(10))


COLOURS = [(40, 80), (100, 60)]
"""Ends of two boards."""

MOVES = {
    "the view goes along": motion(now=shifted(-5, 3)),
    "the view stays": motion((-5, 3)),
    "the view goes part of the way": motion((-3, 5), now=shifted(-2, -2)),
    "the view is half as large": motion(
        (-2.5, 1.5), now=shifted(4, 6, 0.5), before=shifted(4, 6, 0.5)
    ),
    "the view was elsewhere": motion((-2, 2), now=shifted(7, -9), before=shifted(10, -10)),
}
"""Ways to say that all has moved five pixels to the right and three up."""


@pytest.mark.parametrize("how", MOVES)
def test_what_is_recalled_lies_where_the_picture_has_moved_it(how):
    world = texture(3)
    at = shifted(-20, -18)
    memory = remembering(crop(world, at), at=at)
    features, where = memory.recall(MOVES[how], elapsed_ns=PERIOD_NS)
    moved = cv2.warpAffine(world, shifted(5, -3), (160, 160))
    inner = slice(8, -8)
    np.testing.assert_allclose(features[inner, inner], crop(moved, where)[inner, inner], atol=0.5)
    corner = apply(invert(where), [(0, 0)])[0]
    assert np.abs(corner - (25, 15)).max() <= 6


@pytest.mark.parametrize("how", MOVES)
@pytest.mark.parametrize("new_at", [shifted(-25, -15), shifted(-22, -20), shifted(-30, -20, 1.25)])
def test_a_memory_is_found_again_from_another_crop(how, new_at):
    world = texture(3)
    at = shifted(-20, -18)
    memory = remembering(crop(world, at), at=at, weight=0.95, **FREE)
    now = crop(cv2.warpAffine(world, shifted(5, -3), (160, 160)), new_at)
    shown = fused(memory, now, MOVES[how], at=new_at)
    inner = slice(10, -10)
    np.testing.assert_allclose(shown[inner, inner], now[inner, inner], atol=1.5)


def test_a_crop_may_change_its_size_from_frame_to_frame():
    world = texture(3)
    memory = remembering(crop(world, shifted(-20, -18)), at=shifted(-20, -18), **FREE)
    at, moved = shifted(-20, -18), motion(now=shifted(0, 0))
    for number, size in enumerate([(61, 55), (33, 37), (48, 40), (41, 63)], start=1):
        now = crop(world, at, size)
        shown = fused(memory, now, moved, at=at)
        assert shown.shape == now.shape
        # The rim of what was remembered is felt a little in the coarser bands.
        np.testing.assert_allclose(shown, now, atol=2.0, err_msg=f"frame {number}")
        assert np.abs(shown - now).mean() < 0.1


@pytest.mark.parametrize("num_channels", [1, 2, 3, 4])
def test_any_number_of_channels_is_remembered_alike(num_channels):
    before, now = (np.ascontiguousarray(board(*ends)[..., :num_channels]) for ends in COLOURS)
    memory = remembering(before, **FREE)
    shown = fused(memory, now, motion((1, 0)))
    whole = fused(remembering(board(*COLOURS[0]), **FREE), board(*COLOURS[1]), motion((1, 0)))
    np.testing.assert_allclose(shown, whole[..., :num_channels], atol=1e-3)
    recalled, _ = memory.recall(motion(), elapsed_ns=PERIOD_NS)
    np.testing.assert_allclose(recalled, shown, atol=1e-3)


@pytest.mark.parametrize("size", [(40, 48), (41, 47), (39, 49)])
@pytest.mark.parametrize(
    "change", [np.float64([[0.06, 0], [0, 0.06]]), np.float64([[0, 0.08], [-0.08, 0]])]
)
def test_flow_that_changes_from_place_to_place_is_followed_exactly(size, change):
    world = texture(3)
    rows, columns = np.indices((VIEW_PX, VIEW_PX))
    middle = np.float64([24, 20])
    flow = ((np.dstack([columns, rows]) - middle) @ change.T).astype(np.float32)
    at = shifted(-20, -18)
    memory = remembering(crop(world, at, size), at=at)
    moved = Motion(AT, AT, flow, np.ones((VIEW_PX, VIEW_PX), np.float32))
    features, where = memory.recall(moved, elapsed_ns=PERIOD_NS)
    np.testing.assert_array_equal(where, at)
    before_from_now = np.hstack([np.eye(2) + change, (-change @ middle)[:, None]])
    warped = cv2.warpAffine(
        world, before_from_now, (160, 160), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    )
    inner = slice(6, -6)
    wanted = crop(warped, at, size)[inner, inner]
    np.testing.assert_allclose(features[inner, inner], wanted, atol=0.5)


def test_a_frame_after_a_recall_is_blended_with_what_was_recalled():
    world = texture(3)
    memory = remembering(crop(world, AT), weight=0.95, **FREE)
    memory.recall(motion((-5, 3)), elapsed_ns=PERIOD_NS)
    now = crop(cv2.warpAffine(world, shifted(8, -3), (160, 160)), AT)
    shown = fused(memory, now, motion((-3, 0)))
    np.testing.assert_allclose(shown[10:-10, 14:-10], now[10:-10, 14:-10], atol=1.5)


def test_a_face_that_is_moved_many_times_stays_sharp():
    world = texture(1.0)
    memory = remembering(crop(world, AT), **FREE)
    for number in range(1, 31):
        now = crop(cv2.warpAffine(world, shifted(number / 2, 0), (160, 160)), AT)
        shown = fused(memory, now, motion((-0.5, 0)))
    inner = (slice(6, -6), slice(6, -6))
    detail = [
        np.abs(part - cv2.GaussianBlur(part, (0, 0), 1.5))[inner].mean() for part in (shown, now)
    ]
    assert detail[0] > 0.95 * detail[1]


def test_noise_of_a_still_face_averages_out():
    rng = np.random.default_rng(4)
    memory = remembering(flat(128), **FREE)
    shown = [
        fused(memory, flat(128) + rng.normal(0, 4, (40, 48, 4)).astype(np.float32))
        for _ in range(60)
    ][20:]
    assert np.std(shown, axis=0).mean() < 0.4 * 4


def test_the_frames_that_are_given_are_left_alone():
    memory = remembering(board(60, 100))
    now = board(10, 30)
    copy = now.copy()
    shown = memory.fuse(now, AT, motion(), elapsed_ns=PERIOD_NS, reliability=1.0)
    np.testing.assert_array_equal(now, copy)
    assert not np.shares_memory(shown, now)
    memory.reset()
    first = memory.fuse(now, AT, None, elapsed_ns=0, reliability=1.0)
    assert not np.shares_memory(first, now)


def steps(memory):
    """One array after another out of a memory, by all the ways there are."""
    known = {"elapsed_ns": PERIOD_NS, "reliability": 1.0}
    yield memory.fuse(flat(10), AT, None, **known)
    yield memory.fuse(flat(60), AT, motion(), **known)
    yield memory.fuse(flat(20), AT, motion(), **known)
    yield memory.recall(motion((3, 2)), elapsed_ns=PERIOD_NS)[0]
    yield memory.recall(motion(), elapsed_ns=PERIOD_NS)[0]
    yield memory.fuse(flat(90, (56, 61)), AT, motion(), **known)
    yield memory.fuse(flat(30, (33, 37)), AT, motion(), **known)
    memory.reset()
    yield memory.fuse(flat(50), AT, motion(), **known)
    yield memory.fuse(flat(70), AT, None, **known)
    yield memory.fuse(flat(80, (33, 37)), AT, motion(), **known)


def test_what_is_given_out_is_valid_until_the_call_after_the_next():
    before = kept = None
    for shown in steps(FeatureMemory(MemoryConfig(**FREE))):
        if before is not None:
            np.testing.assert_array_equal(before, kept)
            assert not np.shares_memory(before, shown)
        before, kept = shown, shown.copy()


def test_two_buffers_are_enough_for_as_long_as_a_face_is_seen():
    memory = FeatureMemory(MemoryConfig())
    known = {"elapsed_ns": PERIOD_NS, "reliability": 1.0}
    buffers = set()
    for height, width in [(40, 48)] * 2 + [(39, 47), (24, 30), (40, 48), (37, 44)] * 3:
        shown = memory.fuse(flat(10, (height, width)), AT, motion(), **known)
        recalled, _ = memory.recall(motion(), elapsed_ns=PERIOD_NS)
        buffers |= {shown.ctypes.data, recalled.ctypes.data}
    assert len(buffers) == 2


@pytest.mark.parametrize(
    "settings", [{"weight": 1.0}, {"weight": -0.1}, {"half_life_ms": 0}, {"limit": 300}, {"w": 1}]
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValidationError):
        MemoryConfig(**settings)


@pytest.mark.parametrize(("moved", "kept"), [((0, 0), 0.8), ((3, 0), 0.7 ** (1 / 1.4))])
def test_what_stands_still_is_remembered_for_longer_where_that_is_asked_for(moved, kept):
    memory = remembering(flat(90), still_weight=0.8, **FREE)
    shown = fused(memory, flat(190), motion(flow=moved))[8:32, 8:40]
    assert shown.mean() == pytest.approx(190 - 100 * kept, abs=1.0)


def test_a_crop_that_moved_with_the_camera_s_picture_has_not_stood_still():
    settings = {"still_weight": 0.95, **FREE}
    still, carried = (remembering(flat(90), **settings) for _ in range(2))
    calm = fused(still, flat(190)).mean()
    # The view went on by two pixels and the flow says that the face did, too.
    followed = motion(now=shifted(-2, 0), before=AT)
    moving = fused(carried, flat(190), followed, at=shifted(-2, 0))[8:32, 8:32].mean()
    assert moving > calm + 10


def test_an_unreliable_frame_is_filled_from_memory_no_further_where_it_stands_still():
    memory = remembering(flat(90), still_weight=0.95, **FREE)
    shown = fused(memory, flat(190), reliability=0.0)
    assert shown.min() >= 90 - 1e-3


def where_fickle(part, size=(40, 48)):
    mask = np.zeros(size, np.uint8)
    mask[part] = 255
    return mask


def fickle_step(before, now, part, **how):
    """What a memory of one frame makes of another in which a part may change."""
    memory = remembering(before, **FREE)
    given = {"elapsed_ns": PERIOD_NS, "reliability": 1.0} | how
    return memory.fuse(now, AT, motion(), fickle=where_fickle(part), **given).copy()


def test_what_may_change_and_has_is_seen_at_once_and_the_rest_as_ever():
    part = np.s_[8:32, 8:24]
    usual = fused(remembering(flat(60), **FREE), flat(200))
    shown = fickle_step(flat(60), flat(200), part)
    assert shown[12:28, 12:20] == pytest.approx(200, abs=1)
    np.testing.assert_array_equal(shown[:, 32:], usual[:, 32:])


def test_noise_is_averaged_where_something_may_change_as_elsewhere():
    noise = np.random.default_rng(4).normal(0, 2.5, (2, 40, 48, 4)).astype(np.float32)
    before, now = np.float32(128) + noise
    everywhere = np.s_[:, :]
    np.testing.assert_allclose(
        fickle_step(before, now, everywhere), fickle_step(before, now, np.s_[:0]), atol=0.1
    )


def test_a_frame_that_cannot_be_relied_on_changes_nothing_that_may_change():
    memory = remembering(flat(60), **FREE)
    shown = memory.fuse(
        flat(200),
        AT,
        motion(),
        elapsed_ns=PERIOD_NS,
        reliability=0.0,
        fickle=where_fickle(np.s_[:]),
    )
    assert shown.mean() == pytest.approx(60, abs=1)
