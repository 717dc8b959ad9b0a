"""Whole runs on a film of three people: who is given whose face, in the pictures that come out."""

import threading
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.app import build_plan
from realtime.config import load_config
from realtime.frame import PictureSpec
from realtime.job import parse_face, parse_maps, synthetic_job
from realtime.pipeline import Pipeline

SHARED = Path(__file__).parents[2].parent / "shared" / "assets"
FACES = SHARED / "faces" / "synthetic"
pytestmark = [pytest.mark.models, pytest.mark.shared]

IN_FILM = ("female_10", "male_07", "female_25")
ME, OTHER = (str(FACES / f"{name}.jpg") for name in ("male_20", "female_40"))
SIDE_PX = 240
NUM_PICTURES = 8
"""The three faces are looked at one after the other, and more pictures follow."""

INNER = (slice(90, 150), slice(90, 150))
"""Of each person's square what certainly is face."""


def person(number):
    return str(FACES / f"{IN_FILM[number]}.jpg")


class Film:
    """The three people side by side, standing still."""

    def __init__(self, sizes):
        pictures = [cv2.imread(person(number)) for number in range(3)]
        row = np.zeros((SIDE_PX, 3 * SIDE_PX, 3), np.uint8)
        for number, (picture, size) in enumerate(zip(pictures, sizes, strict=True)):
            at = (SIDE_PX - size) // 2
            smaller = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
            row[at : at + size, number * SIDE_PX + at : number * SIDE_PX + at + size] = smaller
        self.row = row
        self._given = 0

    def open(self):
        return PictureSpec(3 * SIDE_PX, SIDE_PX, Fraction(10), False, NUM_PICTURES)

    def fill(self, image):
        if self._given == NUM_PICTURES:
            return None
        image[:] = self.row
        self._given += 1
        return (self._given - 1) * 100_000_000

    def close(self):
        pass


class Kept:
    """Keeps the last picture that it is shown."""

    def open(self, spec):
        pass

    def send(self, image, media_ns):
        self.picture = image.copy()

    def close(self):
        pass


@pytest.fixture(scope="module")
def library(twins, library_with):
    model = SHARED / "models" / "mobilefacenet_foamliu.onnx"
    if not (model.is_file() and Path(ME).is_file()):
        pytest.skip("the development media are not here")
    library = library_with(
        {
            # Half the crop and the colour that the person's embedding makes.
            "tint": ("inswapper", twins.swapper(128, emap=True, strength=300)),
            "arc_twin": ("arcface", twins.recogniser()),
        }
    )
    library.import_file(model)
    return library


@pytest.fixture(scope="module")
def last_picture(library):
    """The middles of the three people's squares in the last picture of a run, and before it."""

    @cache
    def run(*, faces=None, maps=(), which="all", sizes=(SIDE_PX,) * 3):
        job = replace(
            synthetic_job(1.0),
            faces=None if faces is None else tuple(parse_face(one) for one in faces),
            maps=parse_maps(maps),
        )
        config = load_config(
            settings=[
                *("neural.recogniser=arc_twin", "track.max_faces=3", "fuse.enabled=false"),
                # Which would take away what the twin says of the person.
                "composite.color=off",
            ],
            flags={"swapper": "tint", "choose.faces": which},
        )
        film, kept = Film(sizes), Kept()
        # Without the label, whose time of day would make every picture another one.
        plan = replace(build_plan(job, config, library), source=film, sinks=(kept,), finish=())
        Pipeline(plan).run(stop=threading.Event())
        squares = np.split(kept.picture, 3, axis=1), np.split(film.row, 3, axis=1)
        return tuple([square[INNER] for square in part] for part in squares)

    return run


def is_same(one, other):
    """Whether the same was drawn; sums of several threads may round another way."""
    return int(np.abs(one.astype(int) - other).max()) <= 4


def test_each_person_gets_the_face_that_is_for_them_and_nobody_else_s(last_picture):
    as_me, raw = last_picture(faces=(ME,))
    as_other, _ = last_picture(faces=(OTHER,))
    for one, another in zip(as_me, as_other, strict=True):
        assert np.abs(one.mean(axis=(0, 1)) - another.mean(axis=(0, 1))).max() > 6
    maps = (f"{person(0)}={ME}", f"{person(1)}={OTHER}")
    mapped, _ = last_picture(maps=maps, which="mapped")
    assert is_same(mapped[0], as_me[0])
    assert is_same(mapped[1], as_other[1])
    # Who is in no map is hidden, neither shown nor given one of the faces.
    for shown in (raw[2], as_me[2], as_other[2]):
        assert np.abs(mapped[2].astype(int) - shown).mean() > 3


def test_the_order_of_the_maps_does_not_matter_and_the_others_get_the_face(last_picture):
    as_me, _ = last_picture(faces=(ME,))
    as_other, _ = last_picture(faces=(OTHER,))
    mapped, _ = last_picture(faces=(ME,), maps=(f"{person(1)}={OTHER}",), which="all")
    assert is_same(mapped[1], as_other[1])
    for number in (0, 2):
        assert is_same(mapped[number], as_me[number])


def test_a_person_of_the_maps_can_get_the_face_that_comes_with_the_program(last_picture):
    as_synthetic, _ = last_picture(faces=())
    mapped, _ = last_picture(maps=(f"{person(1)}=synthetic",), which="mapped")
    assert is_same(mapped[1], as_synthetic[1])


def test_one_is_the_largest_face_and_the_others_are_hidden(last_picture):
    sizes = (160, 160, SIDE_PX)
    everybody, raw = last_picture(faces=(ME,), sizes=sizes)
    one, _ = last_picture(faces=(ME,), which="one", sizes=sizes)
    assert is_same(one[2], everybody[2])
    for number in (0, 1):
        for shown in (raw[number], everybody[number]):
            assert np.abs(one[number].astype(int) - shown).mean() > 3
