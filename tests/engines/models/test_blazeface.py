import numpy as np
import pytest

from engines.errors import ModelError
from engines.fake import FakeSession
from engines.models.blazeface import BlazeFace, anchor_centres
from engines.session import TensorSpec

F32 = np.dtype(np.float32)
NUM_ANCHORS = {128: 896, 192: 2304}


def session_of(compute, input_px=128, swapped=False):
    """A BlazeFace-shaped network: ``compute(picture) -> (raw boxes (A, 16), raw scores (A,))``."""
    num = NUM_ANCHORS[input_px]

    def run(inputs):
        boxes, scores = compute(inputs["picture"][0])
        return {"b": boxes[None].astype(np.float32), "s": scores[None, :, None].astype(np.float32)}

    outputs = (TensorSpec("b", (1, num, 16), F32), TensorSpec("s", (1, num, 1), F32))
    return FakeSession(
        (TensorSpec("picture", (1, input_px, input_px, 3), F32),),
        outputs[::-1] if swapped else outputs,
        run,
    )


def silent(input_px=128):
    num = NUM_ANCHORS[input_px]
    return np.zeros((num, 16)), np.full(num, -50.0)


def finds_the_mark(input_px=128):
    """A network whose one face has everything at the middle of the bright mark it is shown."""

    def compute(picture):
        boxes, scores = silent(input_px)
        weight = np.clip(picture.sum(axis=2) + 3.0, 0, None)
        axis = (np.arange(input_px) + 0.5) / input_px
        place = np.array([weight.sum(axis=0) @ axis, weight.sum(axis=1) @ axis]) / weight.sum()
        anchors = anchor_centres(input_px)
        index = int(np.abs(anchors - place).sum(axis=1).argmin())
        offset = (place - anchors[index]) * input_px
        boxes[index, 0::2], boxes[index, 1::2] = offset
        boxes[index, 2:4] = 16.0
        scores[index] = 4.0
        return boxes, scores

    return session_of(compute, input_px)


def marked(width, height, x, y, side=40):
    image = np.zeros((height, width, 3), np.uint8)
    image[y - side // 2 : y + side // 2, x - side // 2 : x + side // 2] = 255
    return image


@pytest.mark.parametrize(
    ("input_px", "first", "last"),
    [(128, 0.5 / 16, 7.5 / 8), (192, 0.5 / 48, 47.5 / 48)],
)
def test_anchors_are_the_middles_of_the_cells_row_by_row(input_px, first, last):
    anchors = anchor_centres(input_px)
    assert anchors.shape == (NUM_ANCHORS[input_px], 2)
    assert anchors[0] == pytest.approx([first, first])
    assert anchors[-1] == pytest.approx([last, last])


def test_short_range_has_two_anchors_per_fine_cell_and_six_per_coarse_one():
    anchors = anchor_centres(128)
    _, fine = np.unique(anchors[:512], axis=0, return_counts=True)
    _, coarse = np.unique(anchors[512:], axis=0, return_counts=True)
    assert set(fine) == {2}
    assert set(coarse) == {6}
    assert len(fine) == 16 * 16
    assert len(coarse) == 8 * 8


def test_the_network_sees_rgb_from_minus_one_to_one_with_black_bars():
    seen = []

    def compute(picture):
        seen.append(picture.copy())
        return silent()

    image = np.zeros((64, 128, 3), np.uint8)
    image[:] = (0, 128, 255)
    BlazeFace(session_of(compute)).detect(image)
    assert seen[0][64, 64] == pytest.approx([1.0, 128 / 127.5 - 1, -1.0], abs=1e-6)
    assert (seen[0][:32] == -1.0).all()
    assert (seen[0][96:] == -1.0).all()


@pytest.mark.parametrize("swapped", [False, True])
def test_a_face_is_decoded_relative_to_its_anchor_into_image_pixels(swapped):
    def compute(picture):
        boxes, scores = silent()
        boxes[0] = [10, 20, 32, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
        scores[0] = 0.0
        return boxes, scores

    # 256 x 128 fills the width of the input at one half; 32 black rows above.
    found = BlazeFace(session_of(compute, swapped=swapped)).detect(
        np.zeros((128, 256, 3), np.uint8)
    )
    centre = np.array([(4 + 10) * 2 - 0.5, (4 + 20 - 32) * 2 - 0.5])
    assert len(found) == 1
    assert found.scores[0] == pytest.approx(0.5)
    assert found.boxes[0] == pytest.approx(
        np.concatenate([centre - 16 * np.array([2, 1]), centre + 16 * np.array([2, 1])])
    )
    keypoints = [((4 + x) * 2 - 0.5, (4 + x + 1 - 32) * 2 - 0.5) for x in (1, 3, 5, 7, 9, 11)]
    assert found.keypoints[0] == pytest.approx(np.array(keypoints))
    assert found.boxes.dtype == found.keypoints.dtype == found.scores.dtype == np.float32


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("input_px", [128, 192])
@pytest.mark.parametrize("size", [(640, 360), (361, 641), (1921, 1083), (97, 101)])
def test_a_mark_is_found_where_it_is_whatever_the_size_and_turn(size, input_px, turns):
    width, height = size
    x, y = width * 3 // 5, height // 3
    side = 2 * (min(size) // 8)
    found = BlazeFace(finds_the_mark(input_px)).detect(
        marked(width, height, x, y, side), quarter_turns=turns
    )
    # A half pixel because the mark's middle lies between two pixels; the rest is resampling.
    tolerance_px = 0.15 * max(size) / input_px
    assert found.keypoints[0] == pytest.approx(
        np.tile([x - 0.5, y - 0.5], (6, 1)), abs=tolerance_px
    )


@pytest.mark.parametrize("turns", [0, 1])
def test_a_region_is_searched_at_its_own_scale_and_cut_at_the_edges(turns):
    image = marked(640, 360, 560, 80)
    image[200:, :300] = 255
    found = BlazeFace(finds_the_mark()).detect(
        image, region=(450, -70, 700, 180), quarter_turns=turns
    )
    assert found.keypoints[0, 0] == pytest.approx([559.5, 79.5], abs=0.5)


@pytest.mark.parametrize("region", [(700, 0, 900, 100), (10, 10, 11, 200), (50, 60, 50, 60)])
def test_a_region_without_pixels_has_no_faces_and_runs_no_network(region):
    session = finds_the_mark()
    found = BlazeFace(session).detect(np.zeros((360, 640, 3), np.uint8), region=region)
    assert len(found) == 0
    assert session.calls == 0


def test_scores_beyond_the_clipping_range_are_still_probabilities():
    def compute(picture):
        boxes, scores = silent()
        scores[0], scores[1] = 1e6, -1e6
        return boxes, scores

    found = BlazeFace(session_of(compute)).detect(np.zeros((64, 64, 3), np.uint8))
    assert found.scores == pytest.approx([1.0])


@pytest.mark.parametrize(("min_score", "wanted"), [(0.0, 896), (0.5, 2), (0.9, 1), (1.0, 0)])
def test_only_faces_of_the_wanted_probability_are_reported(min_score, wanted):
    def compute(picture):
        boxes, scores = silent()
        boxes[:, 2:4] = 1e-3  # too small to overlap
        boxes[:, :2] = np.random.default_rng(0).uniform(-3, 3, (896, 2))
        scores[10], scores[500] = 3.0, 1.0
        return boxes, scores

    image = np.zeros((64, 64, 3), np.uint8)
    assert len(BlazeFace(session_of(compute)).detect(image, min_score=min_score)) == wanted


def test_overlapping_boxes_become_their_mean_weighted_by_score():
    def compute(picture):
        boxes, scores = silent()
        anchors = anchor_centres(128) * 128
        # Two boxes of one face, a third of another.
        for index, left, score in ((300, 40.0, 2.0), (301, 44.0, 1.0), (5, 100.0, 0.5)):
            boxes[index] = np.tile(np.array([left, 50.0]) - anchors[index], 8)
            boxes[index, 2:4] = 20.0
            scores[index] = score
        return boxes, scores

    found = BlazeFace(session_of(compute)).detect(np.zeros((128, 128, 3), np.uint8))
    first, second, third = (1 / (1 + np.exp(-s)) for s in (2.0, 1.0, 0.5))
    left = (first * 40 + second * 44) / (first + second) - 0.5
    assert found.scores == pytest.approx([first, third])
    assert found.boxes[0] == pytest.approx([left - 10, 39.5, left + 10, 59.5], abs=1e-4)
    assert found.keypoints[0, :, 0] == pytest.approx(np.full(6, left), abs=1e-4)
    assert found.boxes[1] == pytest.approx([89.5, 39.5, 109.5, 59.5], abs=1e-4)


@pytest.mark.parametrize(
    ("input_shape", "output_shapes"),
    [
        ((1, 100, 100, 3), ((1, 896, 16), (1, 896, 1))),
        ((1, 3, 128, 128), ((1, 896, 16), (1, 896, 1))),
        ((1, 128, 128, 3), ((1, 2304, 16), (1, 2304, 1))),
        ((1, 192, 192, 3), ((1, 2304, 16), (1, 2304, 2))),
    ],
)
def test_a_network_that_is_no_blazeface_is_refused(input_shape, output_shapes):
    outputs = tuple(TensorSpec(str(i), shape, F32) for i, shape in enumerate(output_shapes))
    session = FakeSession((TensorSpec("in", input_shape, F32),), outputs, lambda inputs: {})
    with pytest.raises(ModelError, match=r"blazeface: .* must .* got .*Use the"):
        BlazeFace(session)
