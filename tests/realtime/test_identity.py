from importlib import resources
from pathlib import Path

import cv2
import numpy as np
import pytest

from cuda_kernels.rasterize import rasterize
from engines.fake import FakeSession
from engines.models.face_finder import open_face_finder
from engines.models.library import ModelLibrary
from engines.session import TensorSpec
from realtime.errors import MediaError
from realtime.face_mesh import NUM_POINTS
from realtime.face_texture import DETAIL_ONE
from realtime.face_zones import MAP_PX
from realtime.geometry import fit_similarity
from realtime.identity import MIN_FACE_PX, find_faces, prepare_identity
from realtime.job import FaceChoice

pytestmark = pytest.mark.models

F32 = np.dtype(np.float32)


@pytest.fixture(scope="module")
def library():
    return ModelLibrary()


@pytest.fixture(scope="module")
def prepare(library):
    """Gives a function from pictures to a person; each is a path or a path and a number."""
    connections = library.path("face_mesh_connections").read_text(encoding="utf-8")

    def prepare_person(*choices, open_session=library.session, **options):
        pairs = [choice if isinstance(choice, tuple) else (choice, None) for choice in choices]
        people = [FaceChoice(*pair) for pair in pairs]
        return prepare_identity(people, connections, open_session, **options)

    return prepare_person


@pytest.fixture(scope="module")
def astronaut(library):
    """512 x 512 px, one face."""
    return read(library.path("portrait_astronaut"))


@pytest.fixture(scope="module")
def nobody():
    """720 x 720 px, the face that comes with the program."""
    with resources.as_file(resources.files("realtime").joinpath("synthetic_face.jpg")) as path:
        return read(path)


@pytest.fixture(scope="module")
def packaged(prepare):
    """The person that comes with the program."""
    return prepare()


@pytest.fixture(scope="module")
def turned(library, nobody, mesh, sitter):
    """Gives a function that draws nobody's skin on a turned head, 512 x 512 px."""
    with open_face_finder(library.session) as finder:
        [landmarks] = find_faces(nobody, finder)
    values = np.zeros((NUM_POINTS, 3), np.float32)
    values[:, :2] = landmarks[:, :2]
    at = np.empty((MAP_PX, MAP_PX, 3), np.float32)
    rasterize(
        mesh.layout * MAP_PX - np.float32(0.5),
        np.zeros(NUM_POINTS, np.float32),
        mesh.closed,
        values,
        out=at,
        depth=np.empty((MAP_PX, MAP_PX), np.float32),
    )
    looks = cv2.remap(nobody, at[..., 0], at[..., 1], cv2.INTER_LINEAR).astype(np.float32)

    def draw(**angles):
        posed = sitter.landmarks(width_px=230, centre=(256.3, 256.4), **angles)
        return sitter.picture(looks, posed, (512, 512), background=(180, 170, 160))

    return draw


@pytest.fixture
def write(tmp_path):
    """Gives a function that writes a picture and returns its path."""

    def write_picture(picture, name="me.png"):
        path = tmp_path / name
        assert cv2.imwrite(str(path), picture)
        return path

    return write_picture


def read(path: Path):
    picture = cv2.imread(str(path))
    assert picture is not None
    return picture


def shapes_apart(one, other):
    """Mean distance of two people's landmarks, in widths of the face about."""
    return float(np.linalg.norm(one.texture.shape - other.texture.shape, axis=1).mean())


def refused(prepare, *choices, **how):
    """The message a picture is refused with; it has one line."""
    with pytest.raises(MediaError) as caught:
        prepare(*choices, **how)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_without_a_picture_the_person_is_the_one_that_comes_with_the_program(
    prepare, write, nobody, packaged
):
    chosen = prepare(write(nobody))
    assert shapes_apart(packaged, chosen) < 1e-3
    assert packaged.texture.detail[0].shape == (MAP_PX, MAP_PX, 3)
    assert (packaged.texture.cover[..., 0] == 255).mean() > 0.3


def test_two_people_have_two_shapes_and_two_textures(prepare, write, astronaut, packaged):
    # The only face may be chosen by its number.
    other = prepare((write(astronaut), 1))
    assert shapes_apart(packaged, other) > 0.02
    apart = packaged.texture.detail[0].astype(float) - other.texture.detail[0]
    assert np.abs(apart).mean() > 0.02 * DETAIL_ONE


def test_a_picture_without_a_face_is_refused(prepare, write):
    path = write(np.full((256, 256, 3), 128, np.uint8))
    message = refused(prepare, path)
    assert message.startswith(f"{path}: no face was found. ")


def test_a_file_that_is_no_picture_is_refused(prepare, tmp_path):
    path = tmp_path / "me.png"
    assert str(path) in refused(prepare, path)
    path.write_bytes(b"not a picture")
    assert str(path) in refused(prepare, path)


def test_of_several_faces_one_is_chosen_by_its_place_from_the_left(
    prepare, write, astronaut, nobody, packaged
):
    pair = np.hstack([astronaut, cv2.resize(nobody, (512, 512), interpolation=cv2.INTER_AREA)])
    path = write(pair)
    message = refused(prepare, path)
    assert "got 2" in message
    assert f"--face {path}#2" in message
    message = refused(prepare, (path, 3))
    assert "#1 to #2" in message
    left, right = prepare((path, 1)), prepare((path, 2))
    assert shapes_apart(right, packaged) < 0.01
    assert shapes_apart(left, packaged) > 0.02


def test_a_person_far_away_in_a_large_picture_is_found(prepare, write, nobody, packaged):
    large = np.full((1500, 4000, 3), 150, np.uint8)
    small = cv2.resize(nobody, (300, 300), interpolation=cv2.INTER_AREA)
    large[700:1000, 2800:3100] = small
    assert shapes_apart(prepare(write(large)), packaged) < 0.03
    large[200:500, 500:800] = small
    assert "got 2" in refused(prepare, write(large))


def test_people_far_behind_do_not_count(prepare, write, nobody, packaged):
    picture = np.full((720, 1100, 3), 170, np.uint8)
    picture[:, :720] = nobody
    small = cv2.resize(nobody, (150, 150), interpolation=cv2.INTER_AREA)
    picture[300:450, 850:1000] = small
    assert shapes_apart(prepare(write(picture)), packaged) < 0.01


def test_a_face_with_too_few_pixels_is_refused(prepare, write, astronaut):
    small = cv2.resize(astronaut, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)
    message = refused(prepare, write(small))
    assert f"at least {MIN_FACE_PX} px wide, got 3" in message


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
@pytest.mark.parametrize("name", ["astronaut", "nobody"])
def test_a_picture_may_lie_on_its_side_or_its_head(library, astronaut, nobody, name, quarter_turns):
    picture = {"astronaut": astronaut, "nobody": nobody}[name]
    lying = np.rot90(picture, -quarter_turns).copy()
    with open_face_finder(library.session) as finder:
        [upright] = find_faces(picture, finder)
        [found] = find_faces(lying, finder)
    fit = fit_similarity(upright[:, :2], found[:, :2])
    degrees = np.degrees(np.arctan2(fit.rotation[1, 0], fit.rotation[0, 0]))
    assert np.abs((degrees - 90 * quarter_turns + 180) % 360 - 180) < 3
    placed = fit.scale * upright[:, :2] @ fit.rotation.T + fit.shift
    width_px = np.ptp(upright[:, 0])
    assert np.linalg.norm(placed - found[:, :2], axis=1).mean() < 0.02 * width_px


def test_a_large_picture_gives_the_same_person(prepare, write, nobody, packaged):
    large = cv2.resize(nobody, (2400, 2400), interpolation=cv2.INTER_CUBIC)
    person = prepare(write(large, "large.jpg"))
    assert shapes_apart(person, packaged) < 0.015
    apart = person.texture.detail[0].astype(float) - packaged.texture.detail[0]
    assert np.abs(apart).mean() < 0.05 * DETAIL_ONE


def test_a_person_must_be_shown_from_the_front_by_one_picture(prepare, write, turned, nobody):
    profile = write(turned(yaw=68), "profile.png")
    message = refused(prepare, profile)
    assert message.startswith(f"{profile}: ")
    assert "at most 40 degrees" in message
    assert prepare(profile, write(nobody)).texture.shape.shape == (NUM_POINTS, 3)


def landmarks_turned(library, mesh, sitter, **angles):
    """Opens the real detectors, and a landmark network that sees every head turned by so much."""
    points = sitter.landmarks(width_px=110, centre=(96.0, 96.0), **angles)

    def run(inputs):
        return {"p": points.reshape(1, 1404), "l": np.full((1, 1), 9, np.float32)}

    def open_session(name):
        if name != "face_landmark":
            return library.session(name)
        return FakeSession(
            (TensorSpec("in", (1, 192, 192, 3), F32),),
            (TensorSpec("p", (1, 1404), F32), TensorSpec("l", (1, 1), F32)),
            run,
        )

    return open_session


@pytest.mark.parametrize("angles", [{"yaw": 66}, {"yaw": -66}, {"pitch": 50}, {"pitch": -50}])
def test_a_face_that_looks_away_is_refused(prepare, write, library, mesh, sitter, nobody, angles):
    opened = landmarks_turned(library, mesh, sitter, **angles)
    message = refused(prepare, write(nobody), open_session=opened)
    assert "must look towards the camera" in message
    assert "from the front" in message


def test_the_pictures_are_read_by_the_landmark_network_of_the_camera(
    prepare, library, write, nobody
):
    opened = []

    def open_session(name):
        opened.append(name)
        return library.session("face_landmark" if name == "of_the_camera" else name)

    person = prepare(write(nobody), open_session=open_session, landmark="of_the_camera")
    assert "of_the_camera" in opened
    assert "face_landmark" not in opened
    assert person.texture.shape.shape == (NUM_POINTS, 3)


def test_a_face_turned_a_little_is_accepted(prepare, write, turned):
    person = prepare(write(turned(yaw=30)))
    assert (person.texture.cover[..., 0] == 255).mean() > 0.3


def test_every_picture_of_a_person_must_be_usable(prepare, write, nobody):
    empty = write(np.full((256, 256, 3), 128, np.uint8), "empty.png")
    assert refused(prepare, write(nobody), empty).startswith(f"{empty}: no face was found")


def test_several_pictures_of_one_person_make_one(prepare, write, nobody, turned, packaged):
    same = prepare(write(nobody), write(nobody, "again.png"))
    assert shapes_apart(packaged, same) < 1e-4
    np.testing.assert_allclose(
        same.texture.detail[0], packaged.texture.detail[0], atol=0.002 * DETAIL_ONE
    )
    more = prepare(write(nobody), write(turned(yaw=30), "side.png"))
    assert 1e-4 < shapes_apart(more, packaged) < 0.1


def test_the_shape_lies_in_the_frame_of_the_neutral_face(packaged, mesh):
    shape = packaged.texture.shape
    fit = fit_similarity(shape, mesh.neutral)
    assert fit.scale == pytest.approx(1, abs=0.01)
    np.testing.assert_allclose(fit.rotation, np.eye(3), atol=0.01)
    np.testing.assert_allclose(fit.shift, 0, atol=0.01)


def test_networks_are_closed_again_also_when_a_picture_is_refused(prepare, write, library):
    opened = []

    def open_session(name):
        session = ClosingSession(library.session(name))
        opened.append(session)
        return session

    prepare(open_session=open_session)
    refused(prepare, write(np.zeros((99, 99, 3), np.uint8)), open_session=open_session)
    assert [session.num_closed for session in opened] == [1] * 6


class ClosingSession:
    """A session that counts how often it is closed."""

    def __init__(self, session):
        self._session = session
        self.num_closed = 0
        self.inputs, self.outputs = session.inputs, session.outputs
        self.provider, self.enqueue = session.provider, session.enqueue

    def close(self):
        self.num_closed += 1
        self._session.close()
