import json
from pathlib import Path
from typing import Any

import pytest

from realtime.errors import MediaError, SinkError
from realtime.stats_file import StatsFile


def never(text: str) -> None:
    raise AssertionError(text)


def written(path: Path) -> Any:
    return json.loads(path.read_text())


def test_the_figures_are_written_at_the_end_with_the_reason(tmp_path: Path):
    path = tmp_path / "stats.json"
    with StatsFile(path, never) as stats:
        stats.figures = lambda: {"fps": 30.0}
        stats.reason = "duration"
    assert written(path) == {"fps": 30.0, "reason": "duration", "error": None}
    assert [entry.name for entry in tmp_path.iterdir()] == ["stats.json"]


@pytest.mark.parametrize(
    ("error", "ending"),
    [
        (MediaError("clip.mp4: broken."), {"reason": "error", "error": "clip.mp4: broken."}),
        (ValueError("odd"), {"reason": "error", "error": "odd"}),
        (KeyboardInterrupt(), {"reason": "interrupted", "error": None}),
    ],
)
def test_the_figures_so_far_are_written_on_errors_and_signals(
    tmp_path: Path, error: BaseException, ending: dict[str, object]
):
    path = tmp_path / "stats.json"
    stats = StatsFile(path, never)
    stats.figures = lambda: {"frames": {"captured": 3}}
    with pytest.raises(type(error)), stats:
        raise error
    assert written(path) == {"frames": {"captured": 3}, **ending}


def test_an_error_before_anything_ran_is_written_too(tmp_path: Path):
    path = tmp_path / "stats.json"
    with pytest.raises(MediaError), StatsFile(path, never):
        raise MediaError("me.png: no face.")
    assert written(path) == {"reason": "error", "error": "me.png: no face."}


@pytest.mark.parametrize("name", ["none/stats.json", "."])
def test_a_place_that_cannot_be_written_is_refused_before_any_work(tmp_path: Path, name: str):
    with pytest.raises(SinkError, match="must be a file in a folder that exists"):
        StatsFile(tmp_path / name, never).__enter__()


def test_a_file_that_cannot_be_written_is_an_error_of_its_own_only_if_nothing_else_was(
    tmp_path: Path,
):
    folder = tmp_path / "folder"
    folder.mkdir()
    said: list[str] = []
    with pytest.raises(SinkError, match="must be writable"), StatsFile(folder / "a.json", never):
        folder.rmdir()
    folder.mkdir()

    def fail() -> None:
        folder.rmdir()
        raise MediaError("first")

    with pytest.raises(MediaError), StatsFile(folder / "a.json", said.append):
        fail()
    assert len(said) == 1
    assert "must be writable" in said[0]


def test_without_a_path_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with StatsFile(None, never):
        pass
    assert not list(tmp_path.iterdir())
