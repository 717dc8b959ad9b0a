import os

from realtime.open_files import holders


def test_a_program_that_has_the_file_open_is_named(tmp_path) -> None:
    path = (tmp_path / "device").resolve()
    path.touch()
    assert holders(path) == []
    with path.open("rb"):
        assert [name.rpartition(" ")[2] for name in holders(path)] == [f"({os.getpid()})"]
    assert holders(path) == []


def test_a_system_without_proc_tells_nothing(tmp_path) -> None:
    assert holders(tmp_path, proc=tmp_path / "none") == []


def test_processes_that_may_not_be_looked_into_are_left_out(tmp_path) -> None:
    process = tmp_path / "12"
    (process / "fd").mkdir(parents=True)
    (process / "fd" / "3").symlink_to("/dev/video0")
    assert holders(tmp_path / "x", proc=tmp_path) == []
