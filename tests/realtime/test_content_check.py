import numpy as np
import pytest

from realtime.content_check import ContentCheck, load_check, require_permitted
from realtime.errors import ContentError, UsageError
from realtime.frame import Frame
from realtime.stage import Stage

PICTURE = np.zeros((4, 6, 3), np.uint8)
SECOND_NS = 1_000_000_000


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "my_filter.py").write_text("NUMBER = 3\ndef look(picture):\n    return None\n")
    (tmp_path / "broken_filter.py").write_text("import nothing_of_this_name\n")
    (tmp_path / "senseless_filter.py").write_text("def look(:\n")
    (tmp_path / "raising_filter.py").write_text("1 / 0\n")
    (tmp_path / "leaving_filter.py").write_text("raise SystemExit(3)\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("module")
def test_a_function_is_found_by_its_name():
    assert load_check("my_filter:look")(PICTURE) is None


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize(
    "name",
    ["", "my_filter", ":look", "my_filter:", "my_filter:other", "none:look", "my_filter:NUMBER",
     "broken_filter:look", "senseless_filter:look", "raising_filter:look", "leaving_filter:look",
     "..:look", "my_filter:look()"],
)  # fmt: skip
def test_what_is_no_function_is_a_usage_error(name):
    with pytest.raises(UsageError, match="--content-check"):
        load_check(name)


def test_a_refusal_is_one_line_with_the_reason_and_exit_code_3():
    with pytest.raises(ContentError, match=r"me\.png: .* got: no no\.") as error:
        require_permitted(lambda picture: "no\nno", PICTURE, "me.png")
    assert error.value.exit_code == 3


def test_the_function_cannot_write_into_the_picture():
    def scribble(picture):
        picture[0] = 1

    with pytest.raises(ValueError, match="read-only"):
        require_permitted(scribble, PICTURE, "input")
    assert PICTURE.flags.writeable


def test_it_looks_at_the_first_picture_and_then_once_a_second():
    looks = []
    stage = ContentCheck(lambda picture: looks.append(now))
    assert isinstance(stage, Stage)
    stage.open(None, None)
    for tenth in range(35):
        now = tenth
        stage.process(Frame(PICTURE, media_ns=tenth * SECOND_NS // 10))
    assert looks == [0, 10, 20, 30]


def test_a_function_that_would_end_the_program_refuses_instead():
    def leave(picture):
        raise SystemExit(0)

    with pytest.raises(ContentError, match="input: the content check must answer, got SystemExit"):
        ContentCheck(leave).process(Frame(PICTURE))


def test_a_refused_picture_stops_everything():
    stage = ContentCheck(lambda picture: "no")
    with pytest.raises(ContentError):
        stage.process(Frame(PICTURE))
