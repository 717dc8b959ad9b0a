"""People told apart by a real recogniser, on pictures of people who do not exist."""

import shutil
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.models.face_finder import FACE_NETWORKS
from engines.models.library import ModelLibrary
from realtime.choosers import open_chooser
from realtime.config import load_config
from realtime.errors import ConfigError
from realtime.frame import Frame, PictureSpec
from realtime.job import FaceChoice, FaceMap
from realtime.memory import Memory
from realtime.stages.choose import ChooseOne
from realtime.stages.track import Track

SHARED = Path(__file__).parents[2].parent / "shared" / "assets"
pytestmark = [pytest.mark.models, pytest.mark.shared]
NAMES = ["female_10", "male_07", "female_25"]
SIDE_PX = 360
SPEC = PictureSpec(SIDE_PX * 3, SIDE_PX, Fraction(10), live=False)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    model = SHARED / "models" / "mobilefacenet_foamliu.onnx"
    if not model.is_file():
        pytest.skip("the development media are not here")
    cache = tmp_path_factory.mktemp("cache")
    own = ModelLibrary()
    own.pull(FACE_NETWORKS)
    for path in own.path(FACE_NETWORKS[0]).parent.glob("face_*.*"):
        shutil.copy(path, cache)
    library = ModelLibrary(cache, offline=True)
    library.import_file(model)
    return library


@pytest.fixture(scope="module")
def portraits():
    return {
        name: cv2.resize(
            cv2.imread(str(SHARED / "faces" / "synthetic" / f"{name}.jpg")),
            (SIDE_PX, SIDE_PX),
            interpolation=cv2.INTER_AREA,
        )
        for name in NAMES
    }


def choice(name):
    return FaceChoice(SHARED / "faces" / "synthetic" / f"{name}.jpg")


def follow(library, chooser, pictures):
    """Who each face is, from left to right, after every picture."""
    track = Track(load_config().track, library.session)
    seen = []
    for stage in (track, chooser):
        stage.open(SPEC, Memory())
    for number, picture in enumerate(pictures):
        frame = Frame(picture.copy(), seq=number, media_ns=number * 100_000_000)
        track.process(frame)
        chooser.process(frame)
        faces = sorted(frame.faces, key=lambda face: float(face.box[0]))
        seen.append([face.person if face.chosen else None for face in faces])
    for stage in (track, chooser):
        stage.close()
    return seen


def scene(portraits, order, shift=0, light=1.0):
    """Three people side by side, moved and in other light."""
    row = np.concatenate([portraits[name] for name in order], axis=1)
    moved = np.roll(row, shift, axis=0)
    return np.clip(moved * light, 0, 255).astype(np.uint8)


def test_people_keep_their_faces_wherever_they_stand(library, portraits):
    maps = [FaceMap(choice(NAMES[0]), ()), FaceMap(choice(NAMES[1]), ())]
    for order in (NAMES, NAMES[::-1]):
        chooser = open_chooser(
            maps, load_config(flags={"choose.faces": "mapped"}), library, has_default=False
        )
        pictures = [scene(portraits, order, shift=n, light=1 - 0.03 * n) for n in range(10)]
        expected = [{NAMES[0]: 0, NAMES[1]: 1, NAMES[2]: None}[name] for name in order]
        seen = follow(library, chooser, pictures)
        assert seen[-1] == expected
        # Three faces are looked at one after the other; from then on nothing changes.
        assert all(who == expected for who in seen[4:])
        assert all(
            got in (None, wanted) for who in seen for got, wanted in zip(who, expected, strict=True)
        )


def test_the_others_get_the_face_that_is_for_them(library, portraits):
    maps = [FaceMap(choice(NAMES[1]), ())]
    chooser = open_chooser(maps, load_config(), library, has_default=True)
    seen = follow(library, chooser, [scene(portraits, NAMES)] * 5)
    assert seen[-1] == [1, 0, 1]


@pytest.mark.parametrize(
    ("maps", "faces", "has_default"),
    [
        ([], "mapped", True),
        ([FaceMap(choice(NAMES[0]), ())], "one", True),
        ([FaceMap(choice(NAMES[0]), ())], "all", False),
    ],
)
def test_faces_and_maps_that_contradict_each_other_are_refused(library, maps, faces, has_default):
    config = load_config(flags={"choose.faces": faces})
    with pytest.raises(ConfigError, match=r"choose\.faces"):
        open_chooser(maps, config, library, has_default=has_default)


def test_without_maps_nothing_is_loaded(library):
    assert open_chooser([], load_config(), library, has_default=True) is None
    one = load_config(flags={"choose.faces": "one"})
    assert isinstance(open_chooser([], one, library, has_default=True), ChooseOne)
