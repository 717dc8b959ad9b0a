import json
import math
from dataclasses import replace

import pytest

from tools.tally import PairFigures
from tools.verdict import as_json, bars, combine, describe

GOOD = PairFigures(
    face="a.jpg",
    clip="x.mp4",
    frames=100,
    missing=0,
    extra=0,
    judged=100,
    with_face=100,
    found=98,
    source_mean=0.62,
    source_p10=0.5,
    source_min=0.4,
    source_std=0.05,
    target_mean=0.17,
    target_max=0.3,
    margin=0.45,
    leaks=0,
    cheek=5.0,
    cheek_frames=90,
    outside_db=36.0,
    outside_min_db=35.0,
)
BETTER = replace(GOOD, clip="y.mp4", source_mean=0.9, margin=0.8, outside_db=50.0, cheek=1.0)


def missed(*pairs):
    return {bar.name for bar in bars(pairs) if not bar.passed}


def test_figures_that_just_reach_every_bar_pass():
    assert missed(GOOD) == set()


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"source_mean": 0.619}, {"source cosine, mean"}),
        ({"margin": 0.449}, {"margin, mean"}),
        ({"cheek": 5.01}, {"cheek Lab distance, mean"}),
        ({"leaks": 1}, {"frames with the target recognised"}),
        ({"found": 97}, {"faces found, share of frames"}),
        ({"outside_db": 35.9}, {"outside PSNR in dB, worst pair"}),
    ],
)
def test_a_figure_beyond_its_bar_misses_it_and_no_other(change, names):
    assert missed(replace(GOOD, **change)) == names


def test_one_bad_pair_misses_the_bars_of_every_pair_though_the_means_pass():
    bad = replace(GOOD, source_mean=0.44, margin=0.24, outside_db=35.0)
    assert missed(bad, BETTER, BETTER, BETTER) == {
        "source cosine, worst pair",
        "margin, worst pair",
        "outside PSNR in dB, worst pair",
    }


def test_what_could_not_be_measured_is_missed():
    blind = replace(GOOD, source_mean=math.nan, margin=math.nan, outside_db=math.nan)
    assert {"source cosine, mean", "margin, worst pair"} <= missed(BETTER, blind)
    assert "outside PSNR in dB, worst pair" in missed(BETTER, blind)
    assert "faces found, share of frames" in missed(replace(GOOD, with_face=0, found=0))


def test_a_clip_without_cheeks_in_sight_has_no_say_in_their_tone():
    assert missed(GOOD, replace(GOOD, cheek=math.nan, cheek_frames=0)) == set()
    assert "cheek Lab distance, mean" in missed(replace(GOOD, cheek=math.nan))


def test_found_faces_are_counted_over_frames_not_over_pairs():
    short = replace(GOOD, with_face=2, found=1)
    (share,) = [bar.value for bar in bars([GOOD, short]) if bar.name.startswith("faces found")]
    assert share == pytest.approx(99 / 102)


def test_several_pairs_become_one_row():
    row = combine([GOOD, replace(BETTER, cheek=math.nan)], face="", clip="both")
    assert (row.clip, row.with_face, row.found) == ("both", 200, 196)
    assert row.source_mean == pytest.approx(0.76)
    assert row.cheek == 5.0
    assert row.outside_min_db == 35.0


def test_the_table_shows_each_pair_clip_face_and_bar():
    text = describe([GOOD, BETTER, replace(GOOD, face="b.jpg", missing=2)])
    lines = text.splitlines()
    assert sum(line.startswith("a.jpg ×") for line in lines) == 2
    assert sum(line.startswith("x.mp4") for line in lines) == 1
    assert sum(line.startswith("b.jpg  ") for line in lines) == 1
    assert "2 missing, 0 extra" in text
    assert sum(line.startswith(("passed", "MISSED")) for line in lines) == len(bars([GOOD]))


def test_json_has_null_where_nothing_was_measured():
    figures = as_json([replace(GOOD, cheek=math.nan)])
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert figures["pairs"][0]["cheek"] is None
    assert figures["passed"] is False
    assert as_json([GOOD])["passed"] is True
