import numpy as np
import pytest

from engines.errors import ModelError
from engines.fake import FakeSession
from engines.models.blazeface import BlazeFace, anchor_centres
from engines.models.face_finder import (
    CERTAIN_SCORE,
    FACE_NETWORKS,
    FaceFinder,
    Wanted,
    open_face_finder,
)
from engines.models.face_landmark import FaceLandmark, square_from_landmarks
from engines.session import TensorSpec

F32 = np.dtype(np.float32)
IMAGE = np.zeros((192, 192, 3), np.uint8)
NOBODY = np.zeros((0, 4), np.float32)


def detector(input_px, faces):
    """Finds faces (x, y, side, score) of a 192 px picture, whatever it is shown."""
    anchors = anchor_centres(input_px) * input_px

    def run(inputs):
        boxes = np.zeros((1, len(anchors), 16), np.float32)
        scores = np.full((1, len(anchors), 1), -50, np.float32)
        for x, y, side, score in faces:
            centre = np.array([x, y]) * input_px / 192
            index = int(np.abs(anchors - centre).sum(axis=1).argmin())
            offset = centre - anchors[index]
            eyes = offset + np.array([[-5, 0], [5, 0], *[[0, 0]] * 4])
            size = np.full(2, side * input_px / 192)
            boxes[0, index] = np.vstack([offset, size, eyes]).ravel()
            scores[0, index] = np.log(score / (1 - score))
        return {"boxes": boxes, "scores": scores}

    num = len(anchors)
    return FakeSession(
        (TensorSpec("in", (1, input_px, input_px, 3), F32),),
        (TensorSpec("boxes", (1, num, 16), F32), TensorSpec("scores", (1, num, 1), F32)),
        run,
    )


def landmark_network(scores, centre=(96.0, 96.0), *, half_px=64, sways=()):
    """Says these scores one after the other, then the last again; the face lies in the middle.

    ``sways``: how far to the right of it the first looks place the face.
    """
    said, swaying, middle = list(scores), list(sways), centre
    axis = np.linspace(-half_px, half_px, 468)

    def run(inputs):
        score = said.pop(0) if len(said) > 1 else said[0]
        centre = (middle[0] + (swaying.pop(0) if swaying else 0.0), middle[1])
        points = np.stack([axis + centre[0], axis[::-1] + centre[1], 0 * axis], axis=1)
        points[33], points[263] = (centre[0] - 20, centre[1], 0), (centre[0] + 20, centre[1], 0)
        logit = np.log(score / (1 - score))
        return {
            "p": points.reshape(1, 1404).astype(np.float32),
            "l": np.full((1, 1), logit, np.float32),
        }

    return FakeSession(
        (TensorSpec("in", (1, 192, 192, 3), F32),),
        (TensorSpec("p", (1, 1404), F32), TensorSpec("l", (1, 1), F32)),
        run,
    )


def finder_of(landmark, short=(), full=()):
    return FaceFinder(
        BlazeFace(detector(128, short)), BlazeFace(detector(192, full)), FaceLandmark(landmark)
    )


def search(finder, known=NOBODY, max_faces=4):
    return finder.search(IMAGE, Wanted(known, max_faces, 0.3, 0.5))


def middle(face):
    points = face.landmarks[:, :2]
    return (points.min(axis=0) + points.max(axis=0)) / 2


def some_landmarks():
    face = search(finder_of(landmark_network([0.99]), short=[(96, 96, 40, 0.9)]))[0]
    return face.landmarks


def test_a_certain_face_is_followed_with_one_look():
    landmarks = some_landmarks()
    network = landmark_network([0.95])
    face = finder_of(network).follow(IMAGE, square_from_landmarks(landmarks), min_score=0.5)
    assert network.calls == 1
    assert face.score == pytest.approx(0.95)
    was = (landmarks[:, :2].min(axis=0) + landmarks[:, :2].max(axis=0)) / 2
    assert middle(face) == pytest.approx(was, abs=1)


@pytest.mark.parametrize(
    ("scores", "thorough", "calls", "wanted"),
    [
        ([0.6, 0.8, 0.7], True, 3, 0.8),
        ([0.6, 0.95, 0.7], True, 2, 0.95),
        ([0.6, 0.95, 0.7], False, 1, 0.6),
        ([0.4, 0.3, 0.2], True, 3, None),
        ([0.01, 0.95, 0.95], True, 1, None),
    ],
)
def test_an_uncertain_face_is_looked_at_in_other_crops(scores, thorough, calls, wanted):
    landmarks = some_landmarks()
    network = landmark_network(scores)
    face = finder_of(network).follow(
        IMAGE, square_from_landmarks(landmarks), min_score=0.5, thorough=thorough
    )
    assert network.calls == calls
    assert (None if face is None else face.score) == (wanted and pytest.approx(wanted))


@pytest.mark.parametrize(("score", "seen"), [(0.6, True), (0.4, False)])
def test_one_square_is_looked_at_once_wherever_the_face_in_it_lies(score, seen):
    network = landmark_network([score], centre=(130.0, 96.0))
    square = square_from_landmarks(some_landmarks())
    face = finder_of(network).look(IMAGE, square, min_score=0.5)
    assert network.calls == 1
    assert (face is not None) == seen


def test_a_face_that_has_moved_far_is_followed_in_several_passes():
    landmarks = some_landmarks()
    network = landmark_network([0.99], centre=(130.0, 96.0))
    face = finder_of(network).follow(IMAGE, square_from_landmarks(landmarks), min_score=0.5)
    assert network.calls == 3
    assert face.landmarks[:, 0].mean() > landmarks[:, 0].mean() + 15


def test_a_detection_must_pass_the_landmark_network_twice():
    network = landmark_network([0.99, 0.02])
    assert search(finder_of(network, short=[(96, 96, 40, 0.9)])) == []
    assert network.calls == 2


def test_a_new_face_is_where_several_looks_at_it_have_it():
    still = landmark_network([0.99])
    (face,) = search(finder_of(still, short=[(96, 96, 40, 0.9)]))
    # Two looks say that it is a face; the next six go to and fro, and the last four of them count.
    network = landmark_network([0.99], sways=[0, 0, 8, -8, 4, -4, 4, -4])
    (settled,) = search(finder_of(network, short=[(96, 96, 40, 0.9)]))
    assert network.calls == 8
    px = square_from_landmarks(face.landmarks).side_px / 192
    assert middle(settled) == pytest.approx(middle(face) + np.array([2 * px, 0]), abs=0.01)


@pytest.mark.parametrize(
    "network",
    [
        landmark_network([0.99, 0.99, 0.99, 0.7], sways=[0, 0, 8]),
        landmark_network([0.99], half_px=62, sways=[0, 0, 8, 8]),
    ],
    ids=["unsure", "drawn together"],
)
def test_a_new_face_that_does_not_settle_stays_where_it_was_found(network):
    (face,) = search(finder_of(network, short=[(96, 96, 40, 0.9)]))
    assert middle(face)[0] == pytest.approx(96, abs=1.5)


def test_an_unsure_detection_needs_a_certain_landmark_network():
    unsure = [(96, 96, 40, 0.4)]
    likely = (0.5 + CERTAIN_SCORE) / 2
    assert search(finder_of(landmark_network([likely]), short=unsure)) == []
    assert len(search(finder_of(landmark_network([0.99]), short=unsure))) == 1
    sure = [(96, 96, 40, 0.6)]
    assert len(search(finder_of(landmark_network([likely]), short=sure))) == 1


def test_a_face_that_both_detectors_find_is_one_face():
    finder = finder_of(landmark_network([0.99]), [(96, 96, 40, 0.9)], [(98, 97, 44, 0.8)])
    assert len(search(finder)) == 1


def test_a_small_face_that_only_the_full_range_finds_is_found():
    finder = finder_of(landmark_network([0.99]), full=[(50, 150, 16, 0.9)])
    assert middle(search(finder)[0]) == pytest.approx([49.5, 149.5], abs=1.5)


def test_known_faces_cost_nothing():
    network = landmark_network([0.99])
    known = np.array([[70, 70, 120, 120]], np.float32)
    assert search(finder_of(network, short=[(96, 96, 40, 0.9)]), known=known) == []
    assert network.calls == 0


def test_of_many_faces_the_largest_are_taken():
    faces = [(30, 30, 20, 0.99), (100, 30, 40, 0.7), (40, 140, 30, 0.8), (150, 150, 60, 0.4)]
    found = search(finder_of(landmark_network([0.99]), full=faces), max_faces=2)
    assert [tuple(np.round(middle(face) + 0.5, -1)) for face in found] == [(100, 30), (40, 140)]


def test_a_search_gives_up_after_a_few_vain_tries():
    network = landmark_network([0.02])
    faces = [(x, y, 12, 0.9) for x in range(20, 180, 30) for y in range(20, 180, 30)]
    assert search(finder_of(network, full=faces), max_faces=2) == []
    assert network.calls == 4


def test_a_lost_face_is_looked_for_around_its_place_only():
    landmarks = some_landmarks()
    near = finder_of(landmark_network([0.99]), short=[(96, 96, 64, 0.9)])
    face = near.recover(IMAGE, landmarks, min_detection=0.3, min_score=0.5)
    assert middle(face) == pytest.approx([95.5, 95.5], abs=1.5)
    nobody = finder_of(landmark_network([0.99]), full=[(96, 96, 64, 0.9)])
    assert nobody.recover(IMAGE, landmarks, min_detection=0.3, min_score=0.5) is None


@pytest.mark.parametrize(
    ("face", "is_seen"),
    [((96, 96, 64, 0.6), True), ((96, 96, 64, 0.4), False), ((170, 96, 40, 0.9), False)],
    ids=["sure", "unsure", "beside"],
)
def test_a_face_is_detected_where_the_detector_is_sure_of_one(face, is_seen):
    network = landmark_network([0.99])
    landmarks = some_landmarks()
    assert finder_of(network, short=[face]).is_detected(IMAGE, landmarks) == is_seen
    assert network.calls == 0


def three_networks():
    found = [(96, 96, 40, 0.9)]
    networks = (detector(128, found), detector(192, found), landmark_network([0.99]))
    return dict(zip(FACE_NETWORKS, networks, strict=True))


def refuses_to_run(session):
    inputs = {spec.name: np.zeros(spec.shape, spec.dtype) for spec in session.inputs}
    out = {spec.name: np.zeros(spec.shape, spec.dtype) for spec in session.outputs}
    with pytest.raises(ModelError, match="must be open"):
        session.enqueue(inputs, out=out, stream=0)
    return True


def test_an_opened_finder_finds_and_its_networks_are_closed_with_the_block():
    networks = three_networks()
    with open_face_finder(networks.__getitem__) as finder:
        assert len(search(finder)) == 1
    assert all(refuses_to_run(network) for network in networks.values())


def test_networks_loaded_before_a_missing_one_are_closed():
    networks = three_networks()

    def load(name):
        if name == FACE_NETWORKS[-1]:
            raise ModelError(f"{name}: must be there, got nothing. Pull it.")
        return networks[name]

    with pytest.raises(ModelError, match="Pull it"), open_face_finder(load):
        pass
    assert all(refuses_to_run(networks[name]) for name in FACE_NETWORKS[:-1])


def test_a_face_is_looked_at_as_if_it_leaned_otherwise():
    landmarks = some_landmarks()
    before = landmarks[263, :2] - landmarks[33, :2]
    for turns in (1, 2, 3):
        finder = finder_of(landmark_network([0.97]))
        face = finder.look_turned(IMAGE, landmarks, quarter_turns=turns, min_score=0.5)
        eyes = face.landmarks[263, :2] - face.landmarks[33, :2]
        angle = np.degrees(np.arctan2(eyes[1], eyes[0]) - np.arctan2(before[1], before[0])) % 360
        assert angle == pytest.approx(90 * turns, abs=1)
        assert middle(face) == pytest.approx(landmarks[:, :2].mean(axis=0), abs=2)


def test_a_face_that_does_not_look_like_one_when_turned_is_none():
    finder = finder_of(landmark_network([0.4]))
    assert finder.look_turned(IMAGE, some_landmarks(), quarter_turns=2, min_score=0.5) is None
