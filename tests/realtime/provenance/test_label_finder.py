from importlib import util
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.provenance.label import WORDS, cap_height_px, draw_label
from realtime.provenance.label_finder import MIN_MATCH, find_label

_SPEC = util.spec_from_file_location("scenes", Path(__file__).with_name("scenes.py"))
scenes = util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(scenes)

SIZE = (640, 360)


def grey(pictures):
    return [cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) for picture in pictures]


@pytest.fixture(scope="module")
def clean():
    return scenes.film(5, SIZE)


@pytest.mark.parametrize("preset", WORDS)
def test_every_form_is_seen_in_any_corner_after_strong_compression(preset, clean):
    label = draw_label(preset, cap_height_px(*SIZE))
    labelled = [picture.copy() for picture in clean]
    for picture in labelled:
        label.lay_over(picture, 9, SIZE[1] - label.size[1] - 9)
    found = find_label(grey(scenes.encoded(labelled, 28)))
    assert found.seen
    assert found.match > 0.85
    assert not found.mirrored


def test_a_mirrored_label_is_seen_as_such(clean):
    label = draw_label("minimal", 24)
    picture = clean[0].copy()
    label.lay_over(picture, 500, 9)
    found = find_label(grey([picture[:, ::-1]]))
    assert found.seen
    assert found.mirrored


def test_clean_pictures_look_far_less_like_it(clean):
    found = find_label(grey(clean))
    assert not found.seen
    assert found.match < MIN_MATCH - 0.1


@pytest.mark.parametrize("shape", [(1, 1), (360, 640), (3, 900)])
def test_flat_pictures_of_any_shape_show_nothing(shape):
    assert find_label([np.full(shape, 200, np.uint8)]).match < MIN_MATCH


def test_no_pictures_show_nothing():
    assert not find_label([]).seen
