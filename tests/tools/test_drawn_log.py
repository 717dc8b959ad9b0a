from fractions import Fraction

import numpy as np
import pytest

from realtime.contact_sheet import Tap
from realtime.errors import EngineError
from realtime.frame import Face, FaceState, Frame, Layer, Occluder, Pose
from realtime.pipeline import Plan
from realtime.sources.still import StillPicture
from realtime.stages.guard import Guard
from tools.drawn_log import DrawnLog
from tools.film import Film
from tools.stage_sheet import ROWS, stage_rows

SIDE = 120
S_NS = 1_000_000_000


def plan_of(*lanes):
    source = StillPicture("none.png", num_frames=1, rate_hz=Fraction(30))
    return Plan(
        source=source,
        lanes=lanes,
        guard=Guard(),
        finish=(),
        sinks=(),
        paced=False,
        rate_hz=None,
        out_size=None,
        max_failures=1,
    )


def frame(media_ns=0, *, drawn=True, occluder=None, state=FaceState.SEEN):
    landmarks = np.zeros((468, 3), np.float32)
    landmarks[0], landmarks[1] = (30, 30, 0), (90, 90, 0)
    layer = None
    if drawn:
        alpha = np.zeros((60, 60), np.uint8)
        alpha[10:50, 10:50] = 255
        face = np.full((60, 60, 3), 200, np.uint8)
        layer = Layer(face, alpha, np.float64([[1, 0, -30], [0, 1, -30]]))
    own = Face(
        track_id=1,
        box=np.float32([30, 30, 90, 90]),
        landmarks=landmarks,
        score=0.9,
        pose=Pose(0, 0, 0),
        state=state,
        layer=layer,
        occluder=occluder,
    )
    return Frame(np.full((SIDE, SIDE, 3), 50, np.uint8), media_ns=media_ns, faces=[own])


def logged(*frames, change=lambda frame: None):
    """A log that saw these frames, with a blend stage that does something to them."""
    log = DrawnLog(frozenset(one.media_ns for one in frames))
    (lane,) = log.watching(plan_of((Tap("blend", change),))).lanes
    for one in frames:
        for stage in lane:
            stage.process(one)
    return log


def test_the_face_is_kept_as_it_was_drawn():
    kept = logged(frame()).faces[0]
    assert (kept.drawn[40:80, 40:80] == 200).all()
    assert (kept.drawn[:38] == 50).all()
    assert (kept.mask[40:80, 40:80] == 255).all()
    assert kept.mask[:39].max() == 0
    np.testing.assert_array_equal(kept.mask, kept.shown)


def test_what_the_blend_takes_away_shows_in_the_second_mask():
    def without_right_half(one):
        one.faces[0].layer.alpha[:, 30:] = 0

    kept = logged(frame(), change=without_right_half).faces[0]
    assert kept.mask[50, 70] == 255
    assert kept.shown[50, 70] == 0
    assert kept.shown[50, 50] == 255


def test_what_stands_in_front_shows_in_the_second_mask():
    hand = np.zeros((SIDE, SIDE), np.uint8)
    hand[60:] = 255
    kept = logged(frame(occluder=Occluder(hand, np.eye(2, 3), 0.4))).faces[0]
    assert kept.mask[70, 50] == 255
    assert kept.shown[70, 50] == 0
    assert kept.shown[50, 50] == 255


@pytest.mark.parametrize("how", [{"drawn": False}, {"state": FaceState.LOST}])
def test_a_face_that_was_not_drawn_is_not_kept(how):
    assert not logged(frame(**how)).faces


def test_pictures_that_are_not_wanted_are_not_kept():
    log = DrawnLog(frozenset([S_NS]))
    (lane,) = log.watching(plan_of((Tap("blend", lambda one: None),))).lanes
    for media_ns in (0, S_NS):
        for stage in lane:
            stage.process(frame(media_ns))
    assert list(log.faces) == [S_NS]


def test_a_plan_without_blending_is_refused():
    with pytest.raises(EngineError, match="blend stage"):
        DrawnLog(frozenset()).watching(plan_of((Tap("swap", lambda one: None),)))


def test_the_sheet_has_a_row_for_each_step_and_a_column_for_each_moment():
    frames = [frame(number * S_NS, drawn=number != 1) for number in range(3)]
    log = logged(*frames)
    pictures = [np.full((SIDE, SIDE, 3), 50, np.uint8)] * 3
    film = Film("f", pictures, [0, S_NS, 2 * S_NS], Fraction(1))
    rows = stage_rows(film, log, [picture + np.uint8(10) for picture in pictures], 3)
    assert len(rows) == len(ROWS)
    assert [[cell is not None for cell in row] for row in rows] == [
        [True] * 3,
        [True, False, True],
        [True, False, True],
        [True] * 3,
        [True] * 3,
    ]
    labels = [row[0][0] for row in rows]
    assert labels == [f"{name} 0.00 s" for name in ROWS]
    middles = [int(row[0][1][112, 112, 0]) for row in rows]
    assert middles == [50, 255, 200, 60, 40]
