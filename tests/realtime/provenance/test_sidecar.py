import json
import sys
from pathlib import Path

import pytest

from realtime.errors import SinkError
from realtime.provenance import keys as keys_module
from realtime.provenance import sidecar
from realtime.provenance.keys import KeyFolder
from realtime.provenance.run_record import RunRecord
from realtime.provenance.sidecar import read_sidecar, sidecar_path, write_sidecar

RUN = RunRecord(session=7, label="eu", strength="standard")


@pytest.fixture(params=["with certificates", "without"])
def keys(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Keys of an installation with and without the package for certificates."""
    if request.param == "without":
        for module in (keys_module, sidecar):
            monkeypatch.setattr(module, "find_spec", lambda name: None)
    else:
        pytest.importorskip("cryptography")
    return KeyFolder(tmp_path / "keys")


@pytest.fixture
def film(tmp_path: Path, keys: KeyFolder) -> Path:
    path = tmp_path / "out.mp4"
    path.write_bytes(b"film")
    write_sidecar(path, output=path, c2pa="signed", run=RUN, keys=keys)
    return path


def test_a_sidecar_fits_its_file(film: Path, keys: KeyFolder):
    report = read_sidecar(film, keys)
    assert (report.state, report.session) == ("own", "00000007")
    record = json.loads(sidecar_path(film).read_text())
    assert record["output"]["bytes"] == 4
    assert record["c2pa"] == "signed"
    names = {path.name for path in film.parent.iterdir()}
    assert names - {"keys"} == {"out.mp4", "out.mp4.rtswap.json"}


def test_a_changed_file_does_not_fit_any_more(film: Path, keys: KeyFolder):
    film.write_bytes(b"Film")
    assert read_sidecar(film, keys).state == "mismatch"


@pytest.mark.parametrize("key", ["sha256", "bytes", "name"])
def test_a_changed_sidecar_is_found_out(film: Path, keys: KeyFolder, key: str):
    path = sidecar_path(film)
    record = json.loads(path.read_text())
    record["output"][key] = "0" * 64
    path.write_text(json.dumps(record))
    assert read_sidecar(film, keys).state == "forged"


def test_a_sidecar_of_another_installation_is_not_called_ours(film: Path, tmp_path: Path):
    stranger = KeyFolder(tmp_path / "other")
    assert read_sidecar(film, stranger).state in ("other", "unchecked")


def test_without_a_sidecar_there_is_none(tmp_path: Path, keys: KeyFolder):
    assert read_sidecar(tmp_path / "a.mp4", keys).state == "none"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"[" * 200_000,
        b"{}" + b" " * 2_000_000,
        b'{"signature": 1, "run": {"session": 1}, "output": {"sha256": 1}}',
        b'{"signature": {"alg": "none"}, "run": {"session": 1}, "output": {"sha256": 1}}',
        b'{"signature": {"alg": "ES256", "value": "%%"}, "run": {"session": 1}, "output": '
        b'{"sha256": 1}}',
        b'{"signature": {"alg": "ES256", "value": "AAAA", "certificates": "x"}, "run": '
        b'{"session": 1}, "output": {"sha256": 1}}',
        b'{"signature": {}, "run": 3, "output": {}}',
        b"\xff\xfe\x00",
    ],
)
def test_a_damaged_or_hostile_sidecar_is_reported_and_does_no_harm(
    film: Path, keys: KeyFolder, content: bytes
):
    sidecar_path(film).write_bytes(content)
    assert read_sidecar(film, keys).state in ("forged", "mismatch", "unchecked")


@pytest.mark.parametrize(
    "change",
    [
        {"value": "é"},
        {"value": "\ud800"},
        {"alg": "ES256", "certificates": "\ud800"},
        {"alg": "ES256", "certificates": ["x"]},
        {"alg": "HS256", "value": "é"},
        {"alg": "HS256", "key": {}},
    ],
)
def test_a_signature_of_senseless_letters_is_a_finding(film: Path, keys: KeyFolder, change):
    record = json.loads(sidecar_path(film).read_text())
    record["signature"] |= change
    sidecar_path(film).write_text(json.dumps(record))
    assert read_sidecar(film, keys).state in ("forged", "unchecked")


def test_a_sidecar_nested_as_deeply_as_can_be_read_is_a_finding(film: Path, keys: KeyFolder):
    text = sidecar_path(film).read_text().rstrip().removesuffix("}")
    for depth in range(sys.getrecursionlimit() - 200, sys.getrecursionlimit() + 10):
        sidecar_path(film).write_text(f'{text}, "more": {"[" * depth}{"]" * depth}}}')
        assert read_sidecar(film, keys).state in ("forged", "unchecked")


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path: Path, film: Path, keys):
    with pytest.raises(SinkError, match="must be writable"):
        write_sidecar(tmp_path / "none" / "a.mp4", output=film, c2pa="", run=RUN, keys=keys)
