import os

import pytest

from realtime.config import load_config
from realtime.contact_sheet import Moments, Tap
from realtime.lanes import measures_beside, num_lanes, spread


@pytest.mark.parametrize(
    ("lanes", "live", "cores", "expected"),
    [
        ("auto", False, 2, 3),
        ("auto", False, 1, 1),
        ("auto", True, 2, 1),
        ("auto", True, 1, 1),
        (1, False, 2, 1),
        (2, True, 1, 2),
        (3, True, 1, 3),
    ],
)
def test_lanes_follow_from_the_input_and_the_cores(
    lanes: str | int,
    live: bool,
    cores: int,
    expected: int,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    config = load_config(settings=[f"pipeline.lanes={lanes}"])
    assert num_lanes(config, live=live) == expected


@pytest.mark.parametrize(
    ("lanes", "live", "cores", "expected"),
    [(3, False, 2, False), (3, False, 4, True), (1, False, 2, True), (1, True, 1, True)],
)
def test_motion_is_measured_beside_the_lanes_where_a_core_is_free_or_a_picture_waits(
    lanes: int, live: bool, cores: int, expected: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert measures_beside(lanes, live=live) is expected


@pytest.mark.parametrize("flags", [{"swapper": "fusenet"}, {"refine.enabled": True}])
def test_fusenet_gives_live_pictures_a_second_lane(
    flags: dict[str, object], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert num_lanes(load_config(flags=flags), live=True) == 2


def test_stages_keep_their_order_whatever_the_lanes():
    finding = tuple(Tap(name, lambda frame: None) for name in ("track", "align"))
    swapping = tuple(Tap(name, lambda frame: None) for name in ("swap", "fuse", "mark"))
    moments = Moments([0])
    for lanes in (1, 2, 3):
        spread_out = spread(finding, swapping, lanes, moments)
        assert len(spread_out) == lanes
        names = [stage.name for lane in spread_out for stage in lane]
        assert names == ["before", "track", "align", "swap", "fuse", "mark"]
    assert spread(finding, swapping, 2, None) == (finding, swapping)
    assert spread(finding, swapping, 3, None) == (finding, swapping[:1], swapping[1:])
    assert spread(finding, swapping[:1], 3, None) == (finding, swapping[:1])
