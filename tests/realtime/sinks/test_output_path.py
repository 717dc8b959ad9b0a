import pytest

from realtime.errors import SinkError
from realtime.sinks.output_path import check_output


def test_other_formats_are_refused_with_a_name_that_works(tmp_path) -> None:
    with pytest.raises(SinkError, match=r"clip\.mp4"):
        check_output(tmp_path / "clip.avi", source=None, force=False)
    with pytest.raises(SinkError, match="no suffix"):
        check_output(tmp_path / "clip", source=None, force=False)


@pytest.mark.parametrize("name", ["a.mp4", "a.MOV", "a.mkv", "a.m4v"])
def test_a_free_place_will_do(tmp_path, name) -> None:
    check_output(tmp_path / name, source=tmp_path / "none.mp4", force=False)
    assert list(tmp_path.iterdir()) == []


def test_another_file_may_be_replaced_with_force_only(tmp_path) -> None:
    path = tmp_path / "a.mp4"
    path.touch()
    check_output(path, source=None, force=True)
    with pytest.raises(SinkError, match="--force"):
        check_output(path, source=None, force=False)
