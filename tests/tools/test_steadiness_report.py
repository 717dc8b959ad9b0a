import json
import math
from dataclasses import replace

from tools.script_run import ScriptFigures
from tools.steadiness_report import describe_steadiness, steadiness_as_json, steadiness_bars
from tools.still_run import StillFigures

STILLS = [StillFigures("as set", 0.4, 0.003), StillFigures("off", 1.0, 0.01)]
NAN = math.nan
SCRIPTS = [
    ScriptFigures("sine 1 Hz", "as set", 1.0, 0.99, NAN, NAN, NAN, 3.0),
    ScriptFigures("sine 1 Hz", "off", 0.0, 1.0, NAN, NAN, NAN, 0.0),
    ScriptFigures("sine 3 Hz", "as set", 1.5, 0.95, NAN, NAN, NAN, 2.0),
    ScriptFigures("sine 3 Hz", "off", 0.0, 1.0, NAN, NAN, NAN, 0.0),
    ScriptFigures("blinks", "as set", NAN, NAN, NAN, 0.95, -1.0, 1.0),
    ScriptFigures("blinks", "off", NAN, NAN, NAN, 1.0, 0.0, 0.0),
]


def missed(stills, scripts):
    return [bar.name for bar in steadiness_bars(stills, scripts) if not bar.passed]


def test_figures_that_just_reach_every_bar_pass():
    assert len(steadiness_bars(STILLS, SCRIPTS)) == 8
    assert missed(STILLS, SCRIPTS) == []


def test_each_figure_that_is_too_large_misses_its_own_bar():
    assert missed([replace(STILLS[0], std=0.41), STILLS[1]], SCRIPTS) == [
        "std on a still picture, ratio"
    ]
    assert missed([replace(STILLS[0], jitter=0.0031), STILLS[1]], []) == ["landmark jitter, ratio"]
    for index, change, name in (
        (0, {"lag": 1.01}, "lag in frames, sine 1 Hz"),
        (2, {"lag": 1.51}, "lag in frames, sine 3 Hz"),
        (4, {"shift": -2.0}, "full extent late by frames, blinks"),
        (4, {"shift": NAN}, "full extent late by frames, blinks"),
        (4, {"change": 3.1}, "change in grey levels, blinks"),
    ):
        scripts = list(SCRIPTS)
        scripts[index] = replace(scripts[index], **change)
        assert missed([], scripts) == [name]


def test_the_reference_itself_is_not_judged():
    scripts = [replace(row, lag=9.0) if row.setting == "off" else row for row in SCRIPTS]
    assert missed(STILLS, scripts) == []


def test_a_lag_or_a_reference_that_could_not_be_measured_misses():
    assert missed([], [replace(SCRIPTS[0], lag=NAN)]) == ["lag in frames, sine 1 Hz"]
    assert len(missed([STILLS[0], StillFigures("off", NAN, 0.0)], [])) == 2


def test_the_tables_name_every_row_and_leave_out_what_does_not_apply():
    text = describe_steadiness(STILLS, SCRIPTS)
    assert "blinks, off" in text
    assert "nan" not in text
    assert "still picture" not in describe_steadiness([], SCRIPTS).split("\n")[0]
    assert "scripted head" not in describe_steadiness(STILLS, [])


def test_json_has_null_where_nothing_was_measured():
    values = json.loads(json.dumps(steadiness_as_json(STILLS, SCRIPTS), allow_nan=False))
    assert values["passed"] is True
    assert values["scripts"][0]["extent"] is None
    assert values["still"][1]["std"] == 1.0
