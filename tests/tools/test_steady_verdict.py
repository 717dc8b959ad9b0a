import json
import math
from dataclasses import replace

import pytest

from tools.steady_matrix import SteadyResult
from tools.steady_tally import SteadyFigures
from tools.steady_verdict import describe_steady, gather, steady_as_json, steady_bars
from tools.tally import PairFigures

QUALITY = PairFigures(
    face="a.jpg",
    clip="x.mp4",
    frames=10,
    missing=0,
    extra=0,
    judged=10,
    with_face=10,
    found=10,
    source_mean=0.60,
    source_p10=0.5,
    source_min=0.4,
    source_std=0.02,
    target_mean=0.1,
    target_max=0.2,
    margin=0.5,
    leaks=0,
    cheek=3.0,
    cheek_frames=10,
    outside_db=40.0,
    outside_min_db=39.0,
)
STEADY = SteadyFigures(
    pairs=9,
    missing_pairs=0,
    input_error=1e-4,
    output_error=1.1e-4,
    outside_input=1e-5,
    outside_output=1e-5,
    visible=0.99,
    flow_px=0.2,
    jitter=0.001,
    cheek_std=0.4,
)


def result(setting="as set", ratio=1.0, cosine=0.6, cheek=3.0, face="a.jpg", clip="x.mp4"):
    return SteadyResult(
        setting,
        replace(STEADY, output_error=ratio * STEADY.input_error),
        replace(QUALITY, source_mean=cosine, cheek=cheek, face=face, clip=clip),
    )


def missed(*results):
    return {bar.name for bar in steady_bars(results) if not bar.passed}


def test_figures_that_just_reach_every_bar_pass():
    results = [
        result(ratio=1.499, cosine=0.581, cheek=3.49),
        result(setting="off", ratio=4.0),
        result(ratio=0.7, clip="y.mp4"),
        result(setting="off", ratio=4.0, clip="y.mp4"),
    ]
    assert len(steady_bars(results)) == 5
    assert missed(*results) == set()


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({"ratio": 1.2}, {"warping error ratio, mean"}),
        ({"ratio": 1.6}, {"warping error ratio, mean", "warping error ratio, worst pair"}),
        (
            {"cosine": 0.57},
            {"fall of the source cosine, mean", "fall of the source cosine, worst"},
        ),
        ({"cheek": 3.6}, {"rise of the cheeks' distance, mean"}),
    ],
)
def test_each_figure_misses_its_own_bars(own, expected):
    assert missed(result(**own), result(setting="off")) == expected


def test_the_reference_is_not_judged_and_may_be_left_out():
    assert missed(result(), result(setting="off", ratio=9.0, cosine=0.6)) == set()
    assert {bar.name for bar in steady_bars([result()])} == {
        "warping error ratio, worst pair",
        "warping error ratio, mean",
    }


def test_falls_are_taken_pair_by_pair():
    results = [
        result(cosine=0.50),
        result(setting="off", cosine=0.55),
        result(cosine=0.55, face="b.jpg"),
        result(setting="off", cosine=0.50, face="b.jpg"),
    ]
    assert missed(*results) == {"fall of the source cosine, worst"}


def test_a_pair_that_could_not_be_measured_misses():
    broken = result()
    broken = replace(broken, steady=replace(broken.steady, output_error=math.nan))
    assert missed(broken, result(clip="y.mp4")) == {
        "warping error ratio, worst pair",
        "warping error ratio, mean",
    }


def test_an_input_that_never_changes_gives_no_ratio():
    assert math.isnan(replace(STEADY, input_error=0.0).ratio)
    assert math.isnan(replace(STEADY, outside_input=math.nan).outside_ratio)


def test_a_line_holds_the_mean_of_ratios_and_not_the_ratio_of_means():
    calm = replace(result(), steady=replace(STEADY, input_error=1e-6, output_error=3e-6))
    row = gather("both", [calm, result(ratio=1.0)])
    assert row.ratio == pytest.approx(2)
    assert row.worst_ratio == pytest.approx(3)
    assert row.steady.pairs == 18
    assert row.steady.flow_px == STEADY.flow_px


def test_the_table_has_each_pair_clip_face_and_setting():
    results = [
        result(setting=setting, face=face, clip=clip)
        for clip in ("x.mp4", "y.mp4")
        for face in ("a.jpg", "b.jpg")
        for setting in ("as set", "off")
    ]
    text = describe_steady(results)
    assert len([line for line in text.splitlines() if " off " in line]) == 4 + 2 + 2 + 1
    assert "all pairs" in text
    assert "all pairs" not in describe_steady(results[:2])


def test_pictures_that_did_not_come_out_are_named():
    lost = replace(result(), steady=replace(STEADY, missing_pairs=3))
    assert "3 missing" in describe_steady([lost])
    assert "missing" not in describe_steady([result()])


def test_json_has_both_kinds_of_figures_and_null_for_none():
    broken = replace(result(), steady=replace(STEADY, jitter=math.nan))
    text = json.dumps(steady_as_json([broken, result(setting="off")]), allow_nan=False)
    values = json.loads(text)
    own, reference = values["pairs"]
    assert own["jitter"] is None
    assert (own["source_mean"], reference["setting"]) == (0.6, "off")
    assert reference["ratio"] == pytest.approx(1)
    assert values["passed"] is True
