from fractions import Fraction

import numpy as np
import pytest
from pydantic import ValidationError

from realtime.frame import Face, FaceState, Frame, Motion, PictureSpec, Pose
from realtime.memory import Memory
from realtime.slate import draw_slate
from realtime.stage import Stage
from realtime.stages.guard import Guard, GuardConfig

MS_NS = 1_000_000
HEIGHT, WIDTH = 181, 321
SPEC = PictureSpec(WIDTH, HEIGHT, Fraction(30), live=True)


def picture(seed):
    """Noise: any pixel that stays as it was is found at once."""
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def face(box=(100, 40, 160, 110), *, swapped, state=FaceState.SEEN, lost_ms=0, track_id=1):
    return Face(
        track_id=track_id,
        box=np.array(box, np.float32),
        landmarks=np.zeros((468, 3), np.float32),
        score=0.9,
        pose=Pose(0, 0, 0),
        state=state,
        lost_ns=lost_ms * MS_NS,
        swapped=swapped,
    )


def frame(seed, faces=(), *, at_ms=0, failed=False):
    return Frame(picture(seed), seq=0, media_ns=at_ms * MS_NS, faces=list(faces), failed=failed)


GOOD = [face(swapped=True)]


class Watched:
    """An opened guard that says what has become of a picture."""

    def __init__(self, **config):
        self.guard = Guard(GuardConfig(**config))
        self.guard.open(SPEC, Memory())

    def show(self, shown):
        raw = shown.image.copy()
        self.guard.process(shown)
        return raw, shown.image

    def kind(self, shown):
        raw, out = self.show(shown)
        if np.array_equal(out, raw):
            return "raw"
        for text in ("No face in view", "Picture hidden"):
            slate = np.empty_like(out)
            draw_slate(text, out=slate)
            if np.array_equal(out, slate):
                return f"slate: {text}"
        if np.array_equal(out, picture(0)):
            return "held"
        return "blurred" if is_unrecognisable(out) else "else"


def is_unrecognisable(image):
    """Neighbours hardly differ, which noise does by 85 on average."""
    rows = np.abs(np.diff(image.astype(int), axis=0)).mean()
    columns = np.abs(np.diff(image.astype(int), axis=1)).mean()
    return max(rows, columns) < 10


@pytest.fixture
def watched():
    return Watched()


def test_a_guard_is_a_stage():
    assert isinstance(Guard(), Stage)


def test_a_picture_with_every_face_swapped_passes_untouched(watched):
    assert watched.kind(frame(0, GOOD)) == "raw"


@pytest.mark.parametrize("on_loss", ["hold", "blur", "slate", "pass"])
@pytest.mark.parametrize(
    "bad",
    [
        {"failed": True},
        {"failed": True, "faces": GOOD},
        {"faces": [face(swapped=False)]},
        {"faces": [face(swapped=False), face(swapped=False, state=FaceState.LOST)]},
        {"faces": [*GOOD, face((np.nan, 0, 9, 9), swapped=False)]},
        {"faces": [*GOOD, face((50, 50, 50, 50), swapped=False, state=FaceState.LOST)]},
    ],
    ids=["failed", "failed after the swap", "not swapped", "nobody swapped", "nowhere", "no size"],
)
@pytest.mark.parametrize("before", [[], [GOOD]], ids=["at first", "after a good one"])
def test_a_bad_picture_is_never_shown_under_any_policy(on_loss, bad, before):
    watched = Watched(on_loss=on_loss)
    for number, faces in enumerate(before):
        watched.show(frame(number, faces))
    assert watched.kind(frame(1, at_ms=33, **bad)) != "raw"
    for at_ms in (400, 600, 2400, 2600, 60_000):
        raw, out = watched.show(frame(2, at_ms=at_ms, **bad))
        assert np.abs(raw.astype(int) - out).mean() > 30


@pytest.mark.parametrize("on_loss", ["hold", "blur", "slate"])
def test_a_picture_without_a_face_is_hidden(on_loss):
    assert Watched(on_loss=on_loss).kind(frame(1)) != "raw"


def test_hold_repeats_the_last_good_picture_then_blurs_then_shows_the_slate(watched):
    assert watched.kind(frame(0, GOOD, at_ms=0)) == "raw"
    assert watched.kind(frame(1, at_ms=33)) == "held"
    assert watched.kind(frame(2, at_ms=500)) == "held"
    assert watched.kind(frame(3, at_ms=501)) == "blurred"
    assert watched.kind(frame(4, at_ms=2500)) == "blurred"
    assert watched.kind(frame(5, at_ms=2600)) == "slate: No face in view"
    assert watched.kind(frame(6, at_ms=99_000)) == "slate: No face in view"


def test_hold_without_a_good_picture_begins_with_the_blur(watched):
    assert watched.kind(frame(1, at_ms=0)) == "blurred"
    assert watched.kind(frame(2, at_ms=2000)) == "blurred"
    assert watched.kind(frame(3, at_ms=2001)) == "slate: No face in view"


def test_a_face_that_comes_back_starts_everything_anew(watched):
    for at_ms in (0, 3000):
        assert watched.kind(frame(0, GOOD, at_ms=at_ms)) == "raw"
        assert watched.kind(frame(1, at_ms=at_ms + 100)) == "held"
        assert watched.kind(frame(2, at_ms=at_ms + 2700)) == "slate: No face in view"


def test_time_that_jumps_back_does_not_bring_an_old_picture_back(watched):
    assert watched.kind(frame(0, GOOD, at_ms=9000)) == "raw"
    assert watched.kind(frame(1, at_ms=10)) == "blurred"
    assert watched.kind(frame(2, at_ms=9100)) != "raw"


def test_blur_stays_blurred_and_slate_stays_slate():
    for at_ms in (0, 100, 99_000):
        assert Watched(on_loss="blur").kind(frame(1, at_ms=at_ms)) == "blurred"
        assert Watched(on_loss="slate").kind(frame(1, at_ms=at_ms)) == "slate: No face in view"


def test_pass_shows_the_raw_picture_only_where_no_face_is_seen():
    watched = Watched(on_loss="pass")
    assert watched.kind(frame(0, GOOD, at_ms=0)) == "raw"
    assert watched.kind(frame(1, at_ms=33)) == "raw"
    assert watched.kind(frame(2, at_ms=66, failed=True)) == "held"
    assert watched.kind(frame(3, [face(swapped=False)], at_ms=99)) == "held"


def test_a_failure_is_called_by_another_name_than_an_empty_room():
    assert Watched(on_loss="slate").kind(frame(1, failed=True)) == "slate: Picture hidden"


def test_a_failed_frame_stays_failed_and_a_hidden_one_does_not_become_so(watched):
    failed, hidden = frame(1, failed=True), frame(2)
    watched.show(failed)
    watched.show(hidden)
    assert failed.failed
    assert not hidden.failed


@pytest.mark.parametrize(
    "other",
    [
        face((220, 60, 260, 110), swapped=False, track_id=2),
        face((220, 60, 260, 110), swapped=True, state=FaceState.LOST, track_id=2),
    ],
    ids=["seen but not swapped", "lost"],
)
def test_one_face_that_is_not_swapped_is_hidden_with_its_surroundings_and_no_more(other):
    watched = Watched()
    raw, out = watched.show(frame(0, [*GOOD, other]))
    # The box grown 1.6 times about its centre: half as wide again as 40 x 50.
    hidden = np.zeros((HEIGHT, WIDTH), bool)
    hidden[45:126, 208:273] = True
    assert is_unrecognisable(out[46:124, 209:271])
    assert np.array_equal(out[~hidden], raw[~hidden])


def test_a_swapped_face_next_to_a_lost_one_stays_visible():
    watched = Watched()
    swapped = face((100, 40, 160, 110), swapped=True)
    angles = np.linspace(0, 2 * np.pi, 468, endpoint=False)
    swapped.landmarks[:, 0] = 130 + 30 * np.cos(angles)
    swapped.landmarks[:, 1] = 75 + 35 * np.sin(angles)
    lost = face((120, 45, 180, 115), swapped=False, state=FaceState.LOST, track_id=2)
    raw, out = watched.show(frame(0, [swapped, lost]))
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    inside = ((columns - 130) / 28) ** 2 + ((rows - 75) / 33) ** 2 < 1
    outside = ((columns - 130) / 32) ** 2 + ((rows - 75) / 37) ** 2 > 1
    assert np.array_equal(out[inside], raw[inside])
    hidden = outside[45:115, 120:180]
    assert (out[45:115, 120:180] != raw[45:115, 120:180]).any(axis=-1)[hidden].mean() > 0.99


def test_what_is_hidden_in_a_picture_stays_hidden_when_it_is_held():
    watched = Watched()
    other = face((220, 60, 260, 110), swapped=False, track_id=2)
    _, shown = watched.show(frame(0, [*GOOD, other]))
    _, held = watched.show(frame(1, at_ms=33))
    assert np.array_equal(shown, held)


def test_the_longer_a_face_is_lost_the_wider_the_region_that_hides_it():
    sizes = []
    for lost_ms in (0, 500, 1000, 5000, 50_000):
        lost = face((150, 80, 160, 90), swapped=False, state=FaceState.LOST, lost_ms=lost_ms)
        raw, out = Watched().show(frame(0, [*GOOD, lost]))
        sizes.append(int((raw != out).any(axis=2).sum()))
    assert sizes[0] < sizes[1] < sizes[2] < sizes[3] == sizes[4]


@pytest.mark.parametrize(
    "box",
    [(-50, -50, 20, 20), (300, 160, 400, 400), (-90, -90, 900, 900), (-500, -500, -400, -400)],
)
def test_a_region_beyond_the_rim_is_clipped(box):
    watched = Watched()
    watched.show(frame(0, [*GOOD, face(box, swapped=False, track_id=2)]))


def test_a_guard_that_was_closed_has_forgotten_the_last_picture(watched):
    watched.show(frame(0, GOOD, at_ms=0))
    watched.guard.close()
    watched.guard.open(SPEC, Memory())
    assert watched.kind(frame(1, at_ms=33)) == "blurred"


def test_only_policies_that_hold_pictures_take_room_for_one():
    for on_loss, num_bytes in {"hold": 3 * WIDTH * HEIGHT, "blur": 0, "slate": 0}.items():
        memory = Memory()
        Guard(GuardConfig(on_loss=on_loss)).open(SPEC, memory)
        assert memory.live_bytes == num_bytes


@pytest.mark.parametrize("wrong", [{"on_loss": "show"}, {"hold_ms": -1}, {"holdms": 5}])
def test_a_wrong_setting_is_refused(wrong):
    with pytest.raises(ValidationError):
        GuardConfig(**wrong)


def tracked(box, *, state, lost_ms=0, moves=True):
    """A face with landmarks that fill its box, and a motion where it could be followed."""
    found = face(box, swapped=state is FaceState.SEEN, state=state, lost_ms=lost_ms)
    left, top, right, bottom = box
    spots = np.random.default_rng(5).uniform((left, top), (right, bottom), (468, 2))
    spots[:2] = (left, top), (right, bottom)
    found.landmarks[:, :2] = spots
    if moves and state is FaceState.LOST:
        still = np.eye(2, 3)
        nothing = np.zeros((8, 8, 2), np.float32)
        found.motion = Motion(still, still, nothing, np.ones((8, 8), np.float32))
    return found


def moved_by(box, dx, dy):
    return (box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy)


BOX = (100, 40, 160, 110)


def test_a_held_face_goes_where_the_picture_goes(watched):
    watched.show(frame(0, [tracked(BOX, state=FaceState.SEEN)]))
    gone = tracked(moved_by(BOX, 21, -6), state=FaceState.LOST, lost_ms=40)
    raw, out = watched.show(frame(1, [gone], at_ms=40))
    left, top, right, bottom = moved_by(BOX, 21, -6)
    good = picture(0)[40:110, 100:160]
    assert np.abs(out[top:bottom, left:right].astype(int) - good).mean() < 1
    np.testing.assert_array_equal(out[:, :40], raw[:, :40])
    np.testing.assert_array_equal(out[:, 260:], raw[:, 260:])


def test_nothing_of_a_held_face_itself_shines_through(watched):
    watched.show(frame(0, [tracked(BOX, state=FaceState.SEEN)]))
    gone = tracked(moved_by(BOX, 21, -6), state=FaceState.LOST, lost_ms=40)
    black = frame(1, [gone], at_ms=40)
    white = frame(1, [tracked(moved_by(BOX, 21, -6), state=FaceState.LOST, lost_ms=40)], at_ms=40)
    black.image[:], white.image[:] = 0, 255
    shown = [watched.show(shown)[1].astype(int) for shown in (black, white)]
    left, top, right, bottom = moved_by(BOX, 21, -6)
    hidden = (slice(max(top - 20, 0), bottom + 20), slice(left - 17, right + 17))
    np.testing.assert_array_equal(shown[0][hidden], shown[1][hidden])
    assert (shown[0][:, :30] != shown[1][:, :30]).all()


def test_a_face_that_cannot_be_followed_holds_the_whole_picture(watched):
    watched.show(frame(0, [tracked(BOX, state=FaceState.SEEN)]))
    lost = tracked(BOX, state=FaceState.LOST, lost_ms=40, moves=False)
    assert watched.kind(frame(1, [lost], at_ms=40)) == "held"


def test_a_face_is_held_no_longer_than_the_picture_would_be(watched):
    watched.show(frame(0, [tracked(BOX, state=FaceState.SEEN)]))
    for at_ms in range(40, 481, 40):
        lost = tracked(BOX, state=FaceState.LOST, lost_ms=at_ms)
        assert watched.kind(frame(at_ms, [lost], at_ms=at_ms)) == "else"
    lost = tracked(BOX, state=FaceState.LOST, lost_ms=520)
    assert watched.kind(frame(7, [lost], at_ms=520)) == "blurred"


def test_a_failed_picture_is_not_mended_with_a_held_face(watched):
    watched.show(frame(0, [tracked(BOX, state=FaceState.SEEN)]))
    lost = tracked(BOX, state=FaceState.LOST, lost_ms=40)
    assert watched.kind(frame(1, [lost], at_ms=40, failed=True)) == "held"
