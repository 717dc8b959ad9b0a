import json

import pytest

from realtime.errors import SinkError
from tools.json_file import write_json


def test_a_value_is_read_back_as_it_was(tmp_path):
    path = tmp_path / "figures.json"
    write_json({"fps": 30.5, "names": ["a"]}, path)
    assert json.loads(path.read_text()) == {"fps": 30.5, "names": ["a"]}


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(SinkError, match=r"none.figures\.json: must be writable"):
        write_json({}, tmp_path / "none" / "figures.json")
