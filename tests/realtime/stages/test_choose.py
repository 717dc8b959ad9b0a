"""With a recogniser that reads a person off the colour of the picture under the face."""

from contextlib import contextmanager
from fractions import Fraction

import numpy as np
import pytest

from realtime.frame import Face, FaceState, Frame, PictureSpec, Pose
from realtime.memory import Memory
from realtime.stages.choose import ChooseConfig, ChooseMapped, ChooseOne

SPEC = PictureSpec(400, 100, Fraction(30), live=False)
MS = 1_000_000
ANNA, BERT, COLD = np.eye(3, dtype=np.float32)
PEOPLE = (ANNA, BERT)


def likeness(**parts):
    """Somebody who is partly like others: a vector of length 1."""
    named = {"anna": ANNA, "bert": BERT, "nobody": COLD}
    vector = sum(share * named[name] for name, share in parts.items())
    return vector / np.linalg.norm(vector)


class Reader:
    """Knows who stands where, and counts the looks."""

    def __init__(self):
        self.at = {}
        self.looks = []

    def embed(self, image, points):
        x = round(float(points[:, 0].mean()))
        self.looks.append(x)
        nearest = min(self.at, key=lambda place: abs(place - x))
        return 7 * np.asarray(self.at[nearest], np.float32)


def face(track_id, x, *, width=40.0, yaw=0.0, **how):
    landmarks = np.full((468, 3), (x, 50, 0), np.float32)
    box = np.array([x - width / 2, 30, x + width / 2, 30 + width], np.float32)
    return Face(track_id, box, landmarks, 0.99, Pose(yaw, 0, 0), **how)


class Scene:
    """Frames through an opened stage."""

    def __init__(self, people=PEOPLE, default=None, **settings):
        self.reader = Reader()
        self.closed = 0

        @contextmanager
        def recogniser():
            yield self.reader
            self.closed += 1

        config = ChooseConfig(faces="mapped", **settings)
        self.stage = ChooseMapped(config, recogniser, people, default=default)
        self.stage.open(SPEC, Memory())
        self.now_ms = 0

    def show(self, *faces, after_ms=33, times=1):
        """The given faces in so many frames; who each of them is in the last one."""
        for _ in range(times):
            self.now_ms += after_ms
            frame = Frame(np.zeros((100, 400, 3), np.uint8), media_ns=self.now_ms * MS)
            frame.faces = [
                Face(f.track_id, f.box, f.landmarks, f.score, f.pose, f.state, chosen=f.chosen)
                for f in faces
            ]
            self.stage.process(frame)
        return [f.person if f.chosen else None for f in frame.faces]


def test_each_face_becomes_the_person_it_is_most_like():
    scene = Scene()
    scene.reader.at = {100: likeness(bert=1), 300: likeness(anna=1, nobody=0.3)}
    assert scene.show(face(1, 100), face(2, 300), times=2) == [1, 0]


def test_a_face_of_nobody_is_not_swapped_unless_there_is_a_default():
    for default, expected in ((None, [None]), (2, [2])):
        scene = Scene(default=default)
        scene.reader.at = {100: likeness(nobody=1, anna=0.2)}
        assert scene.show(face(1, 100)) == expected


def test_a_face_that_has_not_been_looked_at_yet_is_not_swapped():
    scene = Scene()
    scene.reader.at = {100: ANNA, 200: BERT}
    assert scene.show(face(1, 100), face(2, 200)) == [0, None]
    assert scene.show(face(1, 100), face(2, 200)) == [0, 1]


def test_one_face_is_looked_at_in_a_frame_and_then_not_for_a_while():
    scene = Scene(interval_ms=500)
    scene.reader.at = {100: ANNA, 200: BERT, 300: COLD}
    faces = [face(n, 100 * n) for n in (1, 2, 3)]
    for number in range(3):
        scene.show(*faces)
        assert len(scene.reader.looks) == number + 1
    assert sorted(scene.reader.looks) == [100, 200, 300]
    scene.show(*faces, times=10)
    assert len(scene.reader.looks) == 3
    scene.show(*faces, after_ms=600)
    assert len(scene.reader.looks) == 4


@pytest.mark.parametrize("how", [{"yaw": 70.0}, {"state": FaceState.LOST}])
def test_a_face_that_cannot_be_read_is_not_looked_at(how):
    scene = Scene()
    scene.reader.at = {100: ANNA}
    assert scene.show(face(1, 100, **how)) == [None]
    assert scene.reader.looks == []


def test_a_face_turned_away_or_lost_stays_who_it_is():
    scene = Scene()
    scene.reader.at = {100: ANNA}
    assert scene.show(face(1, 100)) == [0]
    assert scene.show(face(1, 100, yaw=80.0), times=60) == [0]
    assert scene.show(face(1, 100, state=FaceState.LOST), times=10) == [0]


def test_a_person_is_given_to_one_face_only_the_more_alike():
    scene = Scene()
    scene.reader.at = {100: likeness(anna=1, nobody=0.8), 300: likeness(anna=1, nobody=0.2)}
    assert scene.show(face(1, 100), face(2, 300), times=3) == [None, 0]


def test_of_two_equally_alike_the_one_where_the_person_was_is_it():
    for nearer in (0, 1):
        scene = Scene()
        scene.reader.at = {100: ANNA}
        scene.show(face(1, 100))
        scene.reader.at = {110: ANNA, 320: ANNA}
        places = (110, 320) if nearer == 0 else (320, 110)
        newcomers = [face(2 + n, x) for n, x in enumerate(places)]
        expected = [None, None]
        expected[nearer] = 0
        assert scene.show(*newcomers, times=3) == expected


def test_nearness_never_outweighs_another_face():
    scene = Scene()
    scene.reader.at = {100: ANNA}
    scene.show(face(1, 100))
    scene.reader.at = {100: likeness(nobody=1, anna=0.1), 300: ANNA}
    assert scene.show(face(2, 100), face(3, 300), times=3) == [None, 0]


def test_a_face_between_two_people_does_not_flicker():
    scene = Scene(interval_ms=0)
    scene.reader.at = {100: likeness(anna=1, bert=0.97)}
    assert scene.show(face(1, 100)) == [0]
    for number in range(40):
        slightly = 1.0 + 0.06 * (-1) ** number
        scene.reader.at = {100: likeness(anna=1, bert=slightly)}
        assert scene.show(face(1, 100)) == [0]


def test_a_face_that_turns_out_to_be_another_changes():
    scene = Scene(interval_ms=0)
    scene.reader.at = {100: likeness(anna=1, bert=0.9)}
    assert scene.show(face(1, 100)) == [0]
    scene.reader.at = {100: likeness(bert=1)}
    assert scene.show(face(1, 100), times=12) == [1]


def test_a_face_just_below_the_limit_keeps_its_person_once_given():
    scene = Scene(interval_ms=0, min_cosine=0.5, margin=0.1)
    scene.reader.at = {100: likeness(anna=0.52, nobody=(1 - 0.52**2) ** 0.5)}
    assert scene.show(face(1, 100)) == [0]
    scene.reader.at = {100: likeness(anna=0.45, nobody=(1 - 0.45**2) ** 0.5)}
    assert scene.show(face(1, 100), times=30) == [0]
    assert scene.show(face(2, 100), times=30) == [None]


def test_a_face_beyond_the_limit_stays_hidden_whoever_it_is():
    scene = Scene()
    scene.reader.at = {100: ANNA}
    assert scene.show(face(1, 100, chosen=False)) == [None]


def test_what_is_known_of_a_track_goes_with_it():
    scene = Scene()
    scene.reader.at = {100: ANNA}
    for track_id in range(200):
        scene.show(face(track_id, 100))
    assert len(scene.stage._known) == 1


def test_closing_lets_the_network_go():
    scene = Scene()
    scene.stage.close()
    assert scene.closed == 1
    with pytest.raises(RuntimeError, match="must be open"):
        scene.show(face(1, 100))


def one(stage, *faces):
    frame = Frame(np.zeros((100, 400, 3), np.uint8))
    frame.faces = list(faces)
    stage.process(frame)
    return [f.track_id for f in frame.faces if f.chosen]


def test_one_is_the_largest_and_stays_it():
    stage = ChooseOne()
    stage.open(SPEC, Memory())
    assert one(stage, face(1, 100), face(2, 200, width=60.0)) == [2]
    assert one(stage, face(1, 100, width=90.0), face(2, 200, width=50.0)) == [2]
    assert one(stage, face(1, 100), face(2, 200, state=FaceState.LOST)) == [2]
    assert one(stage, face(1, 100), face(3, 300, width=80.0)) == [3]
    assert one(stage) == []
    assert one(stage, face(4, 50, chosen=False)) == []
    stage.close()
    assert one(stage, face(1, 100)) == [1]
