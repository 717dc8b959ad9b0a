import math
from dataclasses import replace

import pytest

from realtime.config import load_config
from tools.seam_run import PLAIN, SeamResult, describe_seams, seam_bars, seams_as_json

OWN = SeamResult("a.jpg", "one.mp4", "as set", 5, 1.2, 20.0, 3.0)
FEATHERED = SeamResult("a.jpg", "one.mp4", "plain", 5, 4.0, 20.0, 9.0)


def values(*results):
    return [bar.value for bar in seam_bars(results, "plain")]


def test_energy_is_the_gradient_for_each_grey_level():
    assert OWN.energy == pytest.approx(0.06)
    assert math.isnan(replace(OWN, difference=0.0).energy)


def test_seams_are_held_against_those_of_plain_feathering():
    ratio, ring, worst = values(OWN, FEATHERED)
    assert ratio == pytest.approx(0.3)
    assert ring == worst == 3.0
    assert all(bar.passed for bar in seam_bars([OWN, FEATHERED], "plain"))


def test_the_worst_clip_counts_over_all_its_faces():
    other = replace(OWN, clip="two.mp4", ring=10.0)
    third = replace(other, face="b.jpg", ring=8.0)
    feathered = [FEATHERED, replace(FEATHERED, clip="two.mp4")]
    feathered.append(replace(feathered[1], face="b.jpg"))
    ratio, ring, worst = values(OWN, other, third, *feathered)
    assert ratio == pytest.approx(0.3)
    assert ring == pytest.approx(7.0)
    assert worst == pytest.approx(9.0)


def test_what_could_not_be_measured_misses_no_other_bar():
    _, ring, _ = values(OWN, FEATHERED, replace(OWN, face="b.jpg", ring=math.nan), FEATHERED_B)
    assert ring == 3.0


FEATHERED_B = replace(FEATHERED, face="b.jpg")


def test_the_report_names_every_pair_and_every_bar():
    text = describe_seams([OWN, FEATHERED], "plain")
    assert "one.mp4" in text
    assert text.count("passed") == 3
    figures = seams_as_json([OWN, replace(FEATHERED, ring=math.nan)], "plain")
    assert figures["passed"] is True
    assert figures["seams"][1]["ring"] is None
    assert figures["seams"][0]["energy"] == pytest.approx(0.06)


def test_plain_feathering_is_a_configuration():
    composite = load_config(None, PLAIN).composite
    assert (composite.blend, composite.color, composite.light) == ("feather", "off", False)
