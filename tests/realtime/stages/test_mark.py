from fractions import Fraction

import numpy as np
import pytest
from pydantic import ValidationError

from realtime.frame import Face, Frame, PictureSpec, Pose
from realtime.memory import Memory
from realtime.provenance.label_finder import find_label
from realtime.provenance.watermark_reader import MarkReader, shrink
from realtime.stage import Stage
from realtime.stages.mark import AMPLITUDES, Mark, MarkConfig

SIZE = (640, 360)
SESSION = 0x600DF00D
SECOND_NS = 1_000_000_000
GREY = 120


def opened(size=SIZE, show_label=True, **config):
    mark = Mark(MarkConfig(**config), SESSION, show_label=show_label)
    mark.open(PictureSpec(*size, Fraction(30), live=True), Memory())
    return mark


def face(box):
    landmarks = np.zeros((468, 3), np.float32)
    return Face(1, np.array(box, np.float32), landmarks, 0.9, Pose(0, 0, 0))


def send(mark, media_ns=0, boxes=(), size=SIZE):
    frame = Frame(np.full((size[1], size[0], 3), GREY, np.uint8), media_ns=media_ns)
    frame.faces = [face(box) for box in boxes]
    mark.process(frame)
    return frame.image


def label_box(image):
    """Left, top, right, bottom of what is not the faint mark; None without a label."""
    rows, columns = np.nonzero(np.abs(image[..., 0].astype(int) - GREY) > 40)
    if not len(rows):
        return None
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def test_the_mark_is_a_stage():
    assert isinstance(Mark(MarkConfig(), 1), Stage)


@pytest.mark.parametrize("strength", AMPLITUDES)
def test_every_picture_says_the_session_and_shows_the_label(strength):
    image = send(opened(strength=strength))
    grey = shrink(image)
    found = MarkReader().read([grey])
    assert found is not None
    assert found.payload.session == SESSION
    assert find_label([grey]).seen


def test_without_the_label_the_invisible_mark_stays():
    image = send(opened(show_label=False))
    assert label_box(image) is None
    assert MarkReader().read([shrink(image)]) is not None


def test_the_mark_is_read_beside_a_large_face_and_does_not_touch_it():
    box = (120, 20, 430, 360)
    mark = opened(show_label=False)
    images = [send(mark, n * SECOND_NS // 30, [box]) for n in range(3)]
    assert all((image[20:, 120:430] == GREY).all() for image in images)
    found = MarkReader().read([shrink(image) for image in images])
    assert found is not None
    assert found.payload.session == SESSION


def test_the_mark_is_read_where_a_face_fills_the_picture():
    image = send(opened(show_label=False), boxes=[(-50, -50, 700, 400)])
    found = MarkReader().read([shrink(image)])
    assert found is not None
    assert found.payload.session == SESSION


def test_a_film_full_of_flashes_gets_a_stronger_mark():
    mark = opened(show_label=False)
    strong = []
    for number in range(60):
        grey = GREY + 20 * (number % 2)
        frame = Frame(np.full((360, 640, 3), grey, np.uint8), media_ns=number * SECOND_NS // 30)
        mark.process(frame)
        strong.append(int(np.abs(frame.image.astype(int) - grey).max()))
    assert strong[-1] > 1.3 * strong[0]


@pytest.mark.parametrize("size", [(640, 360), (360, 640), (321, 243), (64, 48), (17, 33)])
def test_pictures_of_any_size_are_marked(size):
    image = send(opened(size), size=size)
    assert label_box(image) is not None
    assert not (image == GREY).all()


def test_the_label_never_lies_over_a_face():
    mark = opened()
    rng = np.random.default_rng(0)
    left, top = 40.0, 40.0
    for number in range(300):
        left = float(np.clip(left + rng.normal(0, 12), -40, 560))
        top = float(np.clip(top + rng.normal(0, 12), -40, 280))
        box = (left, top, left + 140, top + 170)
        shown = label_box(send(mark, number * SECOND_NS // 30, [box]))
        assert shown is not None
        assert not (
            shown[0] < box[2] and box[0] < shown[2] and shown[1] < box[3] and box[1] < shown[3]
        ), number


def test_a_forehead_belongs_to_the_face():
    mark = opened()
    usual = label_box(send(mark))
    # The landmarks end just below where the label would be; the forehead goes on.
    chin = usual[3] + 200
    shown = label_box(send(opened(), 0, [(usual[0], usual[3] + 10, usual[2], chin)]))
    assert shown[0] >= usual[2] or shown[1] >= chin or shown[2] <= usual[0] or shown[3] <= usual[1]


def test_in_a_narrow_picture_the_badge_stands_alone_and_whole():
    size = (180, 320)
    shown = label_box(send(opened(size), size=size))
    assert 0 < shown[0] < shown[2] < size[0]


def test_the_chinese_label_is_large_for_two_seconds_and_smaller_after():
    mark = opened((1280, 720), label="gb45438")
    heights = []
    for tenth in range(40):
        box = label_box(send(mark, 7 * SECOND_NS + tenth * SECOND_NS // 10, size=(1280, 720)))
        heights.append(box[3] - box[1])
    assert heights[:21] == [heights[0]] * 21
    assert heights[0] >= 36
    assert heights[-1] < 0.7 * heights[0]


@pytest.mark.parametrize("label", ["eu", "minimal"])
def test_the_other_labels_keep_their_size(label):
    mark = opened(label=label)
    assert label_box(send(mark)) == label_box(send(mark, 60 * SECOND_NS))


def test_faces_without_a_place_do_not_stop_it():
    box = (np.nan, 0.0, 1.0, np.inf)
    assert label_box(send(opened(), boxes=[box])) is not None


def test_a_closed_stage_says_so():
    mark = opened()
    mark.close()
    with pytest.raises(RuntimeError, match="must be open"):
        send(mark)


@pytest.mark.parametrize("producer", ["", "two words", 'quo"te', "ü", "x" * 65])
def test_a_producer_the_standard_does_not_allow_is_refused(producer):
    with pytest.raises(ValidationError):
        MarkConfig(producer=producer)


def test_the_label_cannot_be_turned_off_by_configuration():
    with pytest.raises(ValidationError):
        MarkConfig(label="off")
