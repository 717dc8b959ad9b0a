import numpy as np
import pytest

from realtime.feature_memory import FeatureMemory, MemoryConfig
from realtime.feature_sheet import IDENTITY, FeatureSheet
from realtime.frame import Motion
from realtime.geometry import compose

SIZES = [(64, 8, 8), (5, 7, 9), (1, 4, 4), (13, 16, 12)]
VIEW_PX = 72
CROP_PX = 128
PERIOD_NS = 33_333_333
AT = np.float64([[0.6, 0.1, -20], [-0.1, 0.6, 9]])


def maps_of(size, seed=0):
    return np.random.default_rng(seed).normal(size=size).astype(np.float32)


def motion(flow=(0.0, 0.0), *, now=AT, before=AT, confidence=1.0):
    size = (VIEW_PX, VIEW_PX)
    return Motion(
        now, before, np.full((*size, 2), flow, np.float32), np.full(size, confidence, np.float32)
    )


def view_of(crop_from_image):
    """The aligned view that shows what a crop shows."""
    scale = VIEW_PX / CROP_PX
    return compose(
        np.float64([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2]]), crop_from_image
    )


@pytest.mark.parametrize("size", SIZES)
def test_what_is_laid_out_comes_back_as_it_was(size):
    sheet, maps = FeatureSheet(*size), maps_of(size)
    back = np.full(size, np.nan, np.float32)
    sheet.take(sheet.lay(maps), out=back)
    np.testing.assert_array_equal(back, maps)


@pytest.mark.parametrize("size", SIZES)
def test_every_tile_is_surrounded_by_its_own_edge(size):
    sheet = FeatureSheet(*size).lay(maps_of(size))
    channels, height, width = size
    padded = np.pad(maps_of(size), ((0, 0), (4, 4), (4, 4)), mode="edge")
    tall, wide = (4 * -(-(extent + 8) // 4) for extent in (height, width))
    assert sheet.shape[0] % tall == sheet.shape[1] % wide == 0
    columns = sheet.shape[1] // wide
    for channel in range(channels):
        row, column = divmod(channel // 4, columns)
        tile = sheet[row * tall :, column * wide :, channel % 4]
        np.testing.assert_array_equal(tile[: height + 8, : width + 8], padded[channel])


def test_a_face_that_does_not_move_moves_no_feature():
    sheet = FeatureSheet(8, 16, 16)
    moved = sheet.motion(motion(now=view_of(AT), before=view_of(AT)), AT, AT, CROP_PX)
    np.testing.assert_allclose(moved.flow, 0, atol=1e-5)
    np.testing.assert_array_equal(moved.crop_from_image, IDENTITY)
    assert moved.confidence.min() == pytest.approx(1.0, abs=1e-5)


def test_flow_of_the_view_is_scaled_to_feature_pixels_in_every_tile():
    size, pixels = (12, 16, 16), 16 / VIEW_PX
    both = view_of(AT)
    sheet = FeatureSheet(*size)
    moved = sheet.motion(motion((9.0, -4.5), now=both, before=both), AT, AT, CROP_PX)
    expected = np.broadcast_to([9.0 * pixels, -4.5 * pixels], moved.flow.shape)
    np.testing.assert_allclose(moved.flow, expected, atol=1e-4)


def test_a_crop_that_travels_with_the_face_needs_no_flow_where_the_view_says_so():
    # The network's crop moved by a feature pixel; the view stayed, and so did what it shows.
    feature_px = CROP_PX / 16
    now = AT + np.float64([[0, 0, feature_px], [0, 0, 0]])
    still = view_of(AT)
    moved = FeatureSheet(4, 16, 16).motion(motion(now=still, before=still), now, AT, CROP_PX)
    np.testing.assert_allclose(moved.flow[4:20, 4:20, 0], -1.0, atol=1e-4)
    np.testing.assert_allclose(moved.flow[..., 1], 0.0, atol=1e-4)


def test_what_came_from_beyond_the_map_is_not_trusted():
    both = view_of(AT)
    sheet = FeatureSheet(4, 16, 16)
    moved = sheet.motion(motion((-9.0, 0.0), now=both, before=both), AT, AT, CROP_PX)
    inner = moved.confidence[4:20, 4:20]
    np.testing.assert_array_equal(inner[:, :2], 0.0)
    assert inner[:, 3:].min() == pytest.approx(1.0, abs=1e-5)


def test_a_memory_of_the_sheet_is_a_memory_of_each_map():
    size = (10, 32, 32)
    sheet, moved = FeatureSheet(*size), motion((4.5, 0.0), now=view_of(AT), before=view_of(AT))
    config = MemoryConfig(limit=255.0)
    whole, single = FeatureMemory(config), [FeatureMemory(config) for _ in range(3)]
    scale = 32 / CROP_PX
    feature_from_crop = np.float64([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2]])
    place = compose(feature_from_crop, AT)
    for frame in range(4):
        maps = 40 * maps_of(size, frame)
        on_sheet = sheet.motion(moved, AT, AT, CROP_PX) if frame else None
        fused = whole.fuse(
            sheet.lay(maps), IDENTITY, on_sheet, elapsed_ns=PERIOD_NS, reliability=1.0
        )
        back = np.empty(size, np.float32)
        sheet.take(fused, out=back)
        for group, memory in enumerate(single):
            part = np.zeros((32, 32, 4), np.float32)
            channels = maps[4 * group : 4 * group + 4]
            part[..., : len(channels)] = channels.transpose(1, 2, 0)
            alone = memory.fuse(
                part, place, moved if frame else None, elapsed_ns=PERIOD_NS, reliability=1.0
            )
            expected = alone.transpose(2, 0, 1)[: len(channels)]
            # At the rim they differ: alone a map ends there, and its memory is not trusted.
            inner = np.s_[:, 10:22, 10:18]
            np.testing.assert_allclose(
                back[4 * group : 4 * group + 4][inner], expected[inner], atol=0.05
            )
