"""What a terminal may be shown."""

import pytest

from realtime.cli import main
from realtime.plain_text import plain_line, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Zoë 人脸 ×2 – a b.png", "Zoë 人脸 ×2 – a b.png"),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\u202eb\u2066c", r"a\u202eb\u2066c"),
        ("bad \udc80 byte", r"bad \udc80 byte"),
        ("a\nb\x9b", r"a\nb\x9b"),
    ],
)
def test_only_what_can_be_seen_is_shown_as_it_is(text, shown):
    assert printable(text) == shown


def test_a_line_is_one_line():
    assert plain_line("a\n  b\tc\x07") == r"a b c\x07"


@pytest.mark.parametrize(
    "arguments",
    [
        ["models", "show", "\x1b[31mred"],
        ["bench", "engines", "\x1b[31mred.onnx"],
        ["--input", "\x1b[31mred.mp4", "--face", "synthetic", "--output", "null"],
        ["models", "\x1b[31mred"],
    ],
)
def test_no_name_reaches_the_terminal_as_a_command_to_it(arguments, capsys):
    assert main(arguments) != 0
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert r"\x1b[31mred" in said
