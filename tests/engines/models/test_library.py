import hashlib
import json
import re
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from engines.errors import ModelError
from engines.models import conversions, original_store
from engines.models.catalogue import Catalogue, bundled_catalogue
from engines.models.library import ModelLibrary
from engines.models.place import default_cache_dir
from engines.opener import open_exactly


@pytest.fixture
def tflite_model(tiny):
    x, y = tiny.activation(1, 4), tiny.activation(1, 4)
    tiny.op("RELU", [x], [y])
    return tiny.to_bytes([x], [y])


def entry(data, format_, default=False):
    return {
        "title": "Tiny",
        "family": "tiny",
        "format": format_,
        "default": default,
        "licence": "MIT",
        "licence_url": "https://example.org/licence",
        "attribution": "Nobody",
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "source": {"kind": "url", "urls": ["http://127.0.0.1:9/never"]},
    }


@pytest.fixture
def catalogue(tflite_model):
    return Catalogue.model_validate(
        {
            "models": {
                "rectifier": entry(tflite_model, "tflite", default=True),
                "picture": entry(b"a picture", "png"),
            }
        }
    )


@pytest.fixture
def cache(tmp_path, tflite_model):
    (tmp_path / "rectifier.tflite").write_bytes(tflite_model)
    (tmp_path / "picture.png").write_bytes(b"a picture")
    return tmp_path


@pytest.fixture
def offline(cache, catalogue):
    return ModelLibrary(cache, offline=True, catalogue=catalogue)


def test_a_model_is_converted_once_and_then_read(cache, catalogue):
    seen = []
    library = ModelLibrary(cache, seen.append, offline=True, catalogue=catalogue)
    first = library.load("rectifier")
    assert library.load("rectifier") == first
    assert [progress.phase for progress in seen] == ["convert"]
    manifest = json.loads((cache / "rectifier.json").read_text())
    assert manifest["onnx_sha256"] == hashlib.sha256(first).hexdigest()


def test_a_session_runs_the_model(offline):
    session = offline.session("rectifier")
    (x,), (y,) = session.inputs, session.outputs
    out = np.full(y.shape, np.nan, np.float32)
    session.enqueue({x.name: np.array([[-1, 2, -3, 4]], np.float32)}, out={y.name: out}, stream=0)
    np.testing.assert_array_equal(out, [[0, 2, 0, 4]])
    session.close()


@pytest.mark.parametrize("damage", ["onnx", "manifest", "no manifest", "not json"])
def test_a_converted_model_that_does_not_match_its_manifest_is_made_again(offline, cache, damage):
    good = offline.load("rectifier")
    manifest = cache / "rectifier.json"
    if damage == "onnx":
        (cache / "rectifier.onnx").write_bytes(good[:-1] + b"\x00")
    elif damage == "manifest":
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"onnx_sha256": "0"}))
    elif damage == "no manifest":
        manifest.unlink()
    else:
        manifest.write_text("[]")
    assert offline.load("rectifier") == good
    assert (cache / "rectifier.onnx").read_bytes() == good


def test_a_newer_importer_converts_again(cache, catalogue, monkeypatch):
    ModelLibrary(cache, offline=True, catalogue=catalogue).load("rectifier")
    monkeypatch.setattr(conversions, "IMPORTER_VERSION", 10_000)
    seen = []
    ModelLibrary(cache, seen.append, offline=True, catalogue=catalogue).load("rectifier")
    assert [progress.phase for progress in seen] == ["convert"]


def test_an_original_with_another_hash_is_not_used(offline, cache):
    (cache / "rectifier.tflite").write_bytes(b"something else")
    with pytest.raises(ModelError, match="damaged or was changed"):
        offline.load("rectifier")


@pytest.mark.parametrize("is_offline", [True, False])
def test_a_file_that_was_changed_is_not_called_a_missing_one(cache, catalogue, is_offline):
    (cache / "picture.png").write_bytes(b"another one")
    library = ModelLibrary(cache, catalogue=catalogue, offline=is_offline)
    with pytest.raises(ModelError) as caught:
        library.path("picture")
    assert "damaged or was changed. Run: rt-swap models remove picture" in str(caught.value)
    assert hashlib.sha256(b"another one").hexdigest() in str(caught.value)


def test_offline_a_missing_model_names_the_command_that_fetches_it(tmp_path, catalogue):
    library = ModelLibrary(tmp_path, offline=True, catalogue=catalogue)
    with pytest.raises(ModelError, match="Run once with a network: rt-swap models pull picture"):
        library.path("picture")


def test_the_licence_is_shown_before_anything_is_fetched(tmp_path, catalogue):
    seen = []
    with pytest.raises(ModelError, match="no connection"):
        ModelLibrary(tmp_path, seen.append, catalogue=catalogue).pull(["rectifier", "picture"])
    assert (seen[0].phase, seen[0].name) == (
        "licence",
        "rectifier, picture: MIT, https://example.org/licence",
    )
    assert [progress.phase for progress in seen].count("licence") == 1


def test_outputs_that_nothing_reads_are_not_in_the_conversion(tmp_path, tiny):
    x, y, z = tiny.activation(1, 4), tiny.activation(1, 4), tiny.activation(1, 4)
    tiny.op("RELU", [x], [y])
    tiny.op("LOGISTIC", [x], [z])
    data = tiny.to_bytes([x], [y, z])
    (tmp_path / "two.tflite").write_bytes(data)
    values = entry(data, "tflite") | {"unused_outputs": ["tensor 2"]}
    library = ModelLibrary(
        tmp_path, offline=True, catalogue=Catalogue.model_validate({"models": {"two": values}})
    )
    with closing(library.session("two")) as session:
        assert [spec.name for spec in session.outputs] == ["tensor 1"]


def test_any_file_of_a_known_hash_serves(tmp_path, catalogue, tflite_model):
    values = entry(tflite_model, "tflite")
    others = [{"sha256": "0" * 64}, {key: values.pop(key) for key in ("sha256", "bytes", "source")}]
    several = Catalogue.model_validate({"models": {"rectifier": values | {"files": others}}})
    (tmp_path / "rectifier.tflite").write_bytes(tflite_model)
    assert ModelLibrary(tmp_path, offline=True, catalogue=several).load("rectifier")


def test_a_model_without_a_known_file_says_how_to_import_one(tmp_path, tflite_model):
    values = entry(tflite_model, "onnx") | {"files": []}
    del values["sha256"], values["bytes"], values["source"]
    catalogue = Catalogue.model_validate({"models": {"rectifier": values}})
    with pytest.raises(ModelError, match="models import FILE --family tiny --name rectifier"):
        ModelLibrary(tmp_path, catalogue=catalogue).pull(["rectifier"])


def test_a_fetch_without_a_network_is_a_one_line_error(tmp_path, catalogue):
    with pytest.raises(ModelError, match=r"no connection") as caught:
        ModelLibrary(tmp_path, catalogue=catalogue).pull()
    message = str(caught.value)
    assert "\n" not in message
    assert re.search(
        r"rt-swap models pull \w+\. If you have the file: rt-swap models import FILE$", message
    )


def test_pull_takes_the_defaults_and_touches_no_network_when_all_is_there(cache, catalogue):
    seen = []
    ModelLibrary(cache, seen.append, catalogue=catalogue).pull()
    assert [(progress.phase, progress.name) for progress in seen] == [
        ("convert", "rectifier"),
        ("ready", "rectifier"),
    ]


def test_a_picture_has_a_path_and_is_no_model(offline, cache):
    assert offline.path("picture") == cache / "picture.png"
    with pytest.raises(ModelError, match="picture: must be a model, got a png file"):
        offline.load("picture")


def test_a_text_is_what_was_checked_and_not_what_lies_there_afterwards(offline, cache):
    assert offline.text("picture") == (cache / "picture.png").read_bytes().decode()
    (cache / "picture.png").write_bytes(b"another one")
    with pytest.raises(ModelError, match="damaged or was changed"):
        offline.text("picture")


def test_the_list_says_what_is_cached(offline, cache):
    (cache / "picture.png").unlink()
    assert [(item.name, item.is_cached) for item in offline.list()] == [
        ("rectifier", True),
        ("picture", False),
    ]


def test_what_is_here_has_a_size_and_a_state(offline, cache):
    (cache / "picture.png").unlink()
    size = (cache / "rectifier.tflite").stat().st_size
    assert (offline.num_bytes("rectifier"), offline.num_bytes("picture")) == (size, 0)
    assert (offline.state("rectifier"), offline.state("picture")) == ("here", "missing")
    (cache / "rectifier.tflite").write_bytes(b"something else")
    assert offline.state("rectifier") == "damaged"


@pytest.mark.parametrize(
    ("name", "hint"),
    [("rectifer", "Did you mean rectifier?"), ("nobody", "See: rt-swap models list")],
)
def test_an_unknown_name_is_answered_with_what_helps(offline, name, hint):
    with pytest.raises(ModelError, match="must be a name of the catalogue, got none") as caught:
        offline.describe(name)
    assert str(caught.value).endswith(hint)


def test_the_cache_lies_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("RT_SWAP_CACHE", str(tmp_path))
    assert default_cache_dir() == tmp_path / "models"
    monkeypatch.delenv("RT_SWAP_CACHE")
    assert default_cache_dir().name == "models"
    assert default_cache_dir().parent != Path(tmp_path)


def test_pulling_tells_the_hash_of_each_file_and_reads_none_twice(cache, catalogue, monkeypatch):
    library = ModelLibrary(cache, offline=True, catalogue=catalogue)
    library.pull(["rectifier", "picture"])
    read = []
    real = original_store.read_if_present
    monkeypatch.setattr(
        original_store, "read_if_present", lambda path: read.append(path) or real(path)
    )
    hashes = library.pull(["rectifier", "picture"])
    assert hashes == {name: library.sha256(name) for name in ("rectifier", "picture")}
    assert [path.name for path in read[:2]] == ["rectifier.tflite", "picture.png"]
    assert len(read) == 4  # Two of them for the hashes it is compared with.


class Recorder:
    """Notes what it is to open."""

    def __init__(self):
        self.opened = []
        self.pixels = None

    def __call__(self, model, *, threads, name, exact, pixels):
        self.pixels = pixels
        self.opened.append((model, threads, name, exact))
        return open_exactly(model, threads=threads, name=name)


def test_a_session_is_made_of_the_very_bytes_whose_hash_was_checked(cache, catalogue):
    opener = Recorder()
    library = ModelLibrary(cache, offline=True, catalogue=catalogue, open_network=opener)
    library.session("rectifier", threads=2).close()
    assert opener.opened == [(library.load("rectifier"), 2, "rectifier", True)]


def test_a_file_that_was_tampered_with_reaches_no_runtime(cache, catalogue, twins):
    good = twins.swapper(128, emap=True)
    values = entry(good, "onnx") | {"family": "inswapper"}
    families = {"inswapper": bundled_catalogue().families["inswapper"].model_dump()}
    swappers = Catalogue.model_validate({"models": {"swapper": values}, "families": families})
    opener = Recorder()
    library = ModelLibrary(cache, offline=True, catalogue=swappers, open_network=opener)
    path = cache / "swapper.onnx"
    path.write_bytes(good)
    library.session("swapper").close()
    assert [exact for *_, exact in opener.opened] == [False]
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(ModelError, match="damaged or was changed"):
        library.session("swapper")
    assert len(opener.opened) == 1


@pytest.mark.parametrize(
    ("family", "exact", "pixels"),
    [
        ("inswapper", False, (0.0, 1.0)),
        ("xseg", False, (0.0, 1.0)),
        ("arcface", True, (-1.0, 1.0)),
        ("yunet", True, (0.0, 255.0)),
        ("fan_68", True, (0.0, 1.0)),
    ],
)
def test_points_and_vectors_are_exact_and_pictures_need_not_be(
    cache, tflite_model, family, exact, pixels
):
    values = entry(tflite_model, "tflite") | {"family": family}
    families = {family: bundled_catalogue().families[family].model_dump()}
    one = Catalogue.model_validate({"models": {"rectifier": values}, "families": families})
    opener = Recorder()
    ModelLibrary(cache, offline=True, catalogue=one, open_network=opener).session("rectifier")
    assert [found for *_, found in opener.opened] == [exact]
    assert opener.pixels == (pixels,)
