import os

import pytest

from realtime.config import load_config
from realtime.contact_sheet import Moments, Tap
from realtime.lanes import num_lanes, spread


@pytest.mark.parametrize(
    ("lanes", "rate_hz", "live", "cores", "expected"),
    [
        ("auto", 30, False, 2, 2),
        ("auto", 30, False, 1, 1),
        ("auto", 30, True, 2, 1),
        ("auto", 60, True, 2, 2),
        ("auto", 60, True, 1, 1),
        (1, 60, False, 2, 1),
        (2, 30, True, 1, 2),
    ],
)
def test_lanes_follow_from_the_input_the_rate_and_the_cores(
    lanes: str | int,
    rate_hz: int,
    live: bool,
    cores: int,
    expected: int,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    config = load_config(settings=[f"pipeline.lanes={lanes}", f"camera.rate_hz={rate_hz}"])
    assert num_lanes(config, live=live) == expected


@pytest.mark.parametrize(
    ("flags", "settings", "rate_hz", "expected"),
    [
        ({"swapper": "fusenet"}, [], 30, 2),
        ({"refine.enabled": True}, [], 30, 2),
        ({"swapper": "fusenet"}, [], 25, 1),
        ({"swapper": "fusenet"}, ["refine.serial_ms=5"], 30, 1),
    ],
)
def test_fusenet_takes_a_lane_of_its_own_where_its_time_would_be_missing(
    flags: dict[str, object],
    settings: list[str],
    rate_hz: int,
    expected: int,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    config = load_config(settings=[*settings, f"camera.rate_hz={rate_hz}"], flags=flags)
    assert num_lanes(config, live=True) == expected


def test_stages_keep_their_order_whatever_the_lanes():
    finding = tuple(Tap(name, lambda frame: None) for name in ("track", "align"))
    swapping = tuple(Tap(name, lambda frame: None) for name in ("swap", "mark"))
    moments = Moments([0])
    for lanes in (1, 2):
        spread_out = spread(finding, swapping, lanes, moments)
        assert len(spread_out) == lanes
        names = [stage.name for lane in spread_out for stage in lane]
        assert names == ["before", "track", "align", "swap", "mark"]
    assert spread(finding, swapping, 2, None) == (finding, swapping)
