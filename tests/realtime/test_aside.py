"""Calls in a process of their own."""

import io
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from engines.errors import ModelError
from engines.models.examination import read_model_file
from realtime.aside import NICENESS, call_aside, read_answer, write_answer
from realtime.config import load_config
from realtime.errors import ConfigError, EngineError, MediaError
from realtime.pictures import load_picture


def test_the_call_happens_elsewhere_and_its_result_comes_back():
    assert call_aside(os.getpid) != os.getpid()
    assert call_aside(sorted, [3, 1, 2], reverse=True) == [3, 2, 1]


def test_arrays_come_back_as_they_were_in_one_block_that_may_be_written():
    turned = np.arange(12).reshape(3, 4).T
    value = {"flat": np.arange(7, dtype=np.float32), "turned": turned, 1: "x"}
    with tempfile.TemporaryFile() as file:
        write_answer(value, file)
        found = read_answer(file)
    assert found[1] == "x"
    for name in ("flat", "turned"):
        np.testing.assert_array_equal(found[name], value[name])
        assert (found[name].dtype, found[name].strides) == (value[name].dtype, value[name].strides)
        assert found[name].ctypes.data % 16 == 0
        found[name][:] = 0


def test_an_answer_without_arrays_is_read_too():
    file = io.BytesIO()
    write_answer((True, [None, 1.5]), file)
    assert read_answer(file) == (True, [None, 1.5])


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
    [
        (os._exit, 3, "exit code 3: nothing said"),
        (os._exit, 0, "exit code 0: nothing said"),
        (int, "three", "exit code 1: ValueError: "),
    ],
)
def test_a_process_that_dies_is_one_line(function, argument, told):
    with pytest.raises(EngineError, match=told):
        call_aside(function, argument)
