import json
import subprocess
import sys
from pathlib import Path

import av
import pytest

pytest.importorskip("c2pa")

from tools.sign_large import main, write_film

CHECKOUT = Path(__file__).parents[2]
MOST_GROWTH_MB = 24


def signed(size_mb):
    """What signing a film of that size takes, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tools.sign_large", "--mb", str(size_mb)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_a_film_five_times_as_large_is_signed_and_checked_in_the_same_memory():
    small, large = signed(40), signed(200)
    assert large["film_mb"] - small["film_mb"] >= 160
    assert large["peak_mb"] < small["peak_mb"] + MOST_GROWTH_MB


def test_a_film_that_is_made_large_can_be_played_to_its_end(tmp_path):
    film = tmp_path / "film.mp4"
    write_film(film, 30_000_000)
    assert film.stat().st_size >= 30_000_000
    with av.open(str(film)) as container:
        frames = list(container.decode(video=0))
    assert len(frames) > 8
    assert [frame.pts for frame in frames] == sorted({frame.pts for frame in frames})


def test_a_film_that_does_not_come_out_signed_is_a_failure(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("realtime.provenance.seal.sign_file", lambda *_, **__: "nothing is signed")
    assert main(["--mb", "1", "--folder", str(tmp_path)]) == 1
    assert json.loads(capsys.readouterr().out)["c2pa"] == "none"
