"""Taking a network in that a person has."""

import hashlib
import json
import os

import numpy as np
import onnx
import pytest

from engines.errors import ModelError
from engines.models.catalogue import Catalogue, Entry, bundled_catalogue
from engines.models.library import ModelLibrary


def entry(family, data=None, **changes):
    known = [] if data is None else [{"sha256": hashlib.sha256(data).hexdigest()}]
    return {
        "title": "Tiny",
        "family": family,
        "format": "onnx",
        "licence": "Non-commercial",
        "licence_url": "https://example.org/licence",
        "attribution": "Nobody",
        "files": [{"sha256": "0" * 64}, *known] if known else [],
    } | changes


@pytest.fixture
def known_model(twins):
    return twins.swapper(128, seed=9, emap=True)


@pytest.fixture
def library(tmp_path, known_model):
    catalogue = Catalogue(
        families=bundled_catalogue().families,
        models={
            "inswapper_128": entry("inswapper", known_model),
            "simswap_256": entry("simswap_256"),
        },
    )
    return ModelLibrary(tmp_path / "cache", offline=True, catalogue=catalogue)


@pytest.fixture
def write(tmp_path):
    def run(data, name="My Model (1).onnx"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return run


def refused(library, path, **options):
    with pytest.raises(ModelError) as caught:
        library.import_file(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_of_a_known_hash_gets_its_name_whatever_it_is_called(library, write, known_model):
    path = write(known_model)
    found = library.import_file(path)
    assert (found.name, found.is_cached, found.is_imported) == ("inswapper_128", True, False)
    assert library.load("inswapper_128") == known_model
    assert library.family("inswapper_128").role == "swapper"
    assert path.exists()


def test_a_file_of_a_known_hash_is_not_taken_for_another(library, write, known_model):
    message = refused(library, write(known_model), name="mine", family="ghost")
    assert "is known as inswapper_128 of the family inswapper, got mine of ghost" in message


def test_an_unknown_file_is_asked_about_and_told_what_it_could_be(library, write, twins):
    message = refused(library, write(twins.recogniser()))
    assert "must have a known SHA-256" in message
    assert "--family. Its tensors fit: arcface." in message
    assert not any(library._cache_dir.rglob("*.onnx"))


def test_an_unknown_file_becomes_what_it_is_said_to_be(library, write, twins):
    model = twins.recogniser()
    found = library.import_file(write(model), family="arcface")
    assert (found.name, found.is_cached, found.is_imported) == ("my_model_1", True, True)
    assert found.entry.family == "arcface"
    assert "Unknown" in found.entry.licence
    assert library.load("my_model_1") == model
    assert [item.name for item in library.list()] == ["inswapper_128", "simswap_256", "my_model_1"]
    session = library.session("my_model_1")
    assert session.inputs[0].shape == (-1, 3, 112, 112)
    session.close()


def test_a_name_without_known_files_may_be_given_to_an_import(library, write, twins):
    path = write(twins.swapper(256), "simswap_256.onnx")
    assert not library.describe("simswap_256").is_cached
    found = library.import_file(path, family="simswap_256")
    assert (found.name, found.is_imported) == ("simswap_256", True)
    assert [item.name for item in library.list()] == ["inswapper_128", "simswap_256"]
    assert (found.entry.title, found.entry.licence) == ("Tiny", "Non-commercial")
    assert found.entry.hashes == {hashlib.sha256(path.read_bytes()).hexdigest()}


def test_a_name_of_the_catalogue_stands_for_its_own_family_only(library, write, twins):
    path = write(twins.swapper(256))
    message = refused(library, path, family="hyperswap", name="simswap_256")
    assert "simswap_256 is of the family simswap_256, got hyperswap" in message


def test_an_import_of_another_family_than_the_name_s_has_nobody_s_licence(library, write, twins):
    """As one may lie in the cache from before the catalogue knew the name."""
    path = write(twins.swapper(256))
    library.import_file(path, family="simswap_256", name="simswap_256")
    record = next(library._cache_dir.rglob("simswap_256.json"))
    record.write_text(record.read_text().replace('"simswap_256"', '"hyperswap"'))
    assert library.describe("simswap_256").entry.licence.startswith("Unknown")


def test_another_file_cannot_take_the_name_of_a_known_one(library, write, twins):
    path = write(twins.swapper(128, emap=True), "inswapper_128.onnx")
    message = refused(library, path, family="inswapper")
    assert "inswapper_128 must have one of its known SHA-256" in message
    assert hashlib.sha256(path.read_bytes()).hexdigest() in message


def test_a_file_with_other_tensors_than_the_family_s_is_refused(library, write, twins):
    message = refused(library, write(twins.recogniser()), family="inswapper")
    assert "as inswapper: the network must have 2 inputs, got 1" in message


def test_a_swapper_without_its_matrix_is_refused(library, write, twins):
    message = refused(library, write(twins.swapper(128)), family="inswapper")
    assert "the graph's last constant must be a matrix of shape (512, 512)" in message


def test_a_graph_that_the_runtime_cannot_load_is_refused(library, write, twins):
    model = onnx.load_model_from_string(twins.recogniser())
    model.graph.node[-1].input[1] = "nothing"
    message = refused(library, write(model.SerializeToString()), family="arcface")
    assert "ONNX Runtime must be able to load the model" in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"family": "dance"}, r"dance: must be a family of networks \(inswapper|must be a family"),
        ({"family": "arcface", "name": "../out"}, "the name must consist of a-z, 0-9"),
        ({"family": "arcface", "name": ""}, "the name must consist of a-z, 0-9"),
        ({"family": "arcface", "name": "x" * 65}, "dots and underscores, 64 at most"),
        (
            {"family": "arcface", "name": "mesh", "reserved": ("mesh",)},
            "the name must be a network's alone, got 'mesh'",
        ),
    ],
)
def test_options_that_make_no_sense_are_refused(library, write, twins, options, message):
    path = write(twins.recogniser())
    with pytest.raises(ModelError, match=message):
        library.import_file(path, **options)
    assert not any(library._cache_dir.rglob("*.onnx"))


def test_what_is_no_file_is_refused_and_never_waited_for(library, tmp_path):
    assert "got no such file" in refused(library, tmp_path / "none.onnx")
    assert "got something that is no file" in refused(library, tmp_path)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "got something that is no file" in refused(library, pipe)


def test_a_pickle_is_refused_before_it_is_asked_what_it_is(library, write):
    assert "a pickle, which can run code" in refused(library, write(b"\x80\x04N."))


def test_an_import_that_was_changed_afterwards_is_never_loaded(library, write, twins):
    library.import_file(write(twins.recogniser()), family="arcface", name="mine")
    stored = next(library._cache_dir.rglob("mine.onnx"))
    stored.write_bytes(twins.recogniser(dimensions=128))
    with pytest.raises(ModelError, match="must be the file that was imported as mine"):
        library.load("mine")


def test_an_import_makes_way_for_genuine_files_and_can_be_removed(library, write, twins):
    path = write(twins.swapper(256), "simswap_256.onnx")
    library.import_file(path, family="simswap_256")
    assert library.orphans() == ()
    models = library._catalogue.models | {
        "simswap_256": Entry.model_validate(entry("simswap_256", b"the genuine one"))
    }
    newer = Catalogue(families=library.families, models=models)
    later = ModelLibrary(library._cache_dir, offline=True, catalogue=newer)
    assert later.orphans() == ("simswap_256",)
    assert not later.describe("simswap_256").is_cached
    later.remove("simswap_256")
    assert later.orphans() == ()
    with pytest.raises(ModelError, match="got nothing of it there"):
        later.remove("simswap_256")


@pytest.mark.parametrize("text", ["[]", "{", '{"family": "arcface"}'])
def test_a_record_that_cannot_be_read_counts_for_nothing(library, write, twins, text):
    library.import_file(write(twins.recogniser()), family="arcface", name="mine")
    next(library._cache_dir.rglob("mine.json")).write_text(text)
    with pytest.raises(ModelError, match="mine: must be a name of the catalogue"):
        library.load("mine")
    assert [item.name for item in library.list()] == ["inswapper_128", "simswap_256"]


def test_an_import_is_replaced_by_a_newer_one(library, write, twins):
    for model in (twins.recogniser(), twins.recogniser(block=8)):
        library.import_file(write(model), family="arcface", name="mine")
        assert library.load("mine") == model


def test_what_lies_in_other_files_is_part_of_what_is_stored(library, tmp_path, twins):
    path = tmp_path / "big.onnx"
    model = onnx.load_model_from_string(twins.recogniser())
    onnx.save_model(model, path, save_as_external_data=True, size_threshold=16)
    assert path.stat().st_size < 10_000
    library.import_file(path, family="arcface")
    data = library.load("big")
    assert len(data) > 100_000
    record = json.loads(next(library._cache_dir.rglob("big.json")).read_text())
    assert record["sha256"] == hashlib.sha256(data).hexdigest()
    session = library.session("big")
    out = np.empty((1, 512), np.float32)
    crop = np.ones((1, 3, 112, 112), np.float32)
    session.enqueue({session.inputs[0].name: crop}, out={session.outputs[0].name: out}, stream=0)
    np.testing.assert_allclose(out[0], twins.embedding_of(crop[0]), atol=1e-4)
    session.close()


def test_what_is_removed_is_gone_and_the_person_s_own_file_stays(
    library, write, known_model, twins
):
    mine, known = write(twins.recogniser(), "mine.onnx"), write(known_model, "known.onnx")
    library.import_file(mine, family="arcface")
    library.import_file(known)
    library.remove("mine")
    library.remove("inswapper_128")
    assert not [path for path in library._cache_dir.rglob("*") if path.is_file()]
    assert mine.exists()
    assert known.exists()
    with pytest.raises(ModelError, match=r"inswapper_128: must be in .* got nothing of it there"):
        library.remove("inswapper_128")
    with pytest.raises(ModelError, match="mine: must be a name"):
        library.remove("mine")
