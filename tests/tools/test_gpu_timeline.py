from itertools import pairwise

import pytest

from cuda_kernels.device import CpuDevice
from tools.gpu_timeline import Span, Timeline, busy_share, draw_timeline, overlap_share

SPANS = [
    Span("up", 0, 0.0, 1.0),
    Span("swap", 0, 1.0, 3.0),
    Span("up", 1, 1.0, 2.0),
    Span("finish", 0, 3.0, 4.0),
    Span("swap", 1, 3.5, 5.0),
    Span("finish", 1, 6.0, 7.0),
]


def test_busy_is_the_time_in_which_a_stage_but_the_copies_works():
    # From 1 to 7 all but 5..6.
    assert busy_share(SPANS) == pytest.approx(5 / 6)
    assert busy_share([]) == 0.0


def test_overlap_is_the_time_in_which_two_stages_work_at_once():
    # 1..2 and 3.5..4 of 0..7.
    assert overlap_share(SPANS) == pytest.approx(1.5 / 7)
    assert overlap_share([]) == 0.0


def test_a_timeline_marks_only_while_it_is_on():
    timeline = Timeline(CpuDevice())
    with timeline.watch("swap", None):
        pass
    assert timeline.spans() == []
    timeline.is_on = True
    for _ in range(2):
        for name in ("up", "swap"):
            with timeline.watch(name, None):
                pass
    spans = timeline.spans()
    assert [(span.stage, span.frame) for span in spans] == [
        ("up", 0),
        ("swap", 0),
        ("up", 1),
        ("swap", 1),
    ]
    assert all(a.end_ms <= b.begin_ms for a, b in pairwise(spans))


def test_the_picture_has_a_bar_for_each_span():
    image = draw_timeline(SPANS, ("up", "swap", "finish"), "title")
    assert image.shape == (480, 1400, 3)
    rows = [image[70 + row * 46 + 20, 120:1371] for row in range(3)]
    for row in rows:
        # White, and a colour for each frame.
        assert len({tuple(pixel) for pixel in row.tolist()}) == 3


def test_a_timeline_without_spans_is_an_empty_picture():
    assert draw_timeline([], (), "nothing").shape == (480, 1400, 3)
