"""Calls in a process of their own."""

import os
import sys
from pathlib import Path

import pytest

from engines.errors import ModelError
from engines.models.examination import read_model_file
from realtime.aside import NICENESS, call_aside
from realtime.config import load_config
from realtime.errors import ConfigError, EngineError, MediaError
from realtime.pictures import load_picture


def test_the_call_happens_elsewhere_and_its_result_comes_back():
    assert call_aside(os.getpid) != os.getpid()
    assert call_aside(sorted, [3, 1, 2], reverse=True) == [3, 2, 1]


def test_what_is_printed_on_the_way_does_not_get_into_the_result():
    assert call_aside(print, "\x80", flush=True) is None


@pytest.mark.skipif(sys.platform == "win32", reason="priorities are another thing there")
def test_pictures_come_first_wherever_a_core_is_wanted():
    mine = os.getpriority(os.PRIO_PROCESS, 0)
    assert call_aside(os.getpriority, os.PRIO_PROCESS, 0) == min(mine + NICENESS, 19)


@pytest.mark.parametrize(
    ("function", "argument", "error"),
    [
        (load_picture, Path("none.png"), MediaError),
        (read_model_file, Path("none.onnx"), ModelError),
    ],
)
def test_what_a_person_can_act_on_is_raised_here(function, argument, error):
    with pytest.raises(error, match="got no such file"):
        call_aside(function, argument)


def test_an_error_of_the_configuration_keeps_its_key():
    with pytest.raises(ConfigError, match=r"^swap\.crop: unknown key") as caught:
        call_aside(load_config, None, ["swap.crop=1"])
    assert caught.value.key == "swap.crop"


@pytest.mark.parametrize(
    ("function", "argument", "told"),
    [(os._exit, 3, "exit code 3: nothing said"), (int, "three", "exit code 1: ValueError: ")],
)
def test_a_process_that_dies_is_one_line(function, argument, told):
    with pytest.raises(EngineError, match=told):
        call_aside(function, argument)
