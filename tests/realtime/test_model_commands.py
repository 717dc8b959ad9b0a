from pathlib import Path

import pytest

from realtime.cli import main


@pytest.fixture
def said(tmp_path, monkeypatch, capsys):
    """Runs ``rt-swap models`` on an empty cache; exit code and the lines of both outputs."""
    monkeypatch.setenv("RT_SWAP_CACHE", str(tmp_path / "cache"))

    def run(*arguments):
        code = main(["models", *(str(argument) for argument in arguments)])
        shown = capsys.readouterr()
        return code, shown.out.splitlines(), shown.err.splitlines()

    return run


@pytest.fixture
def file(tmp_path, twins):
    path = tmp_path / "Some Recogniser.onnx"
    path.write_bytes(twins.recogniser())
    return path


def line_of(lines, name):
    return next(line for line in lines if line.split()[0] == name)


def test_a_file_is_imported_listed_shown_and_removed(said, file):
    code, _, errors = said("import", file, "--family", "arcface")
    assert code == 0
    assert errors[0].startswith("rt-swap: licence of some_recogniser: Unknown; ask whoever made")
    assert errors[1] == "rt-swap: some_recogniser imported, as arcface, hash not known"
    _, listed, _ = said("list")
    assert line_of(listed, "some_recogniser").split()[1] == "imported"
    _, shown, _ = said("show", "some_recogniser")
    facts = dict(line.split(maxsplit=1) for line in shown)
    assert (facts["family"], facts["here"]) == ("arcface", "yes")
    assert len(facts["sha256"]) == 64
    assert said("remove", "some_recogniser")[2] == ["rt-swap: some_recogniser removed"]
    _, listed, _ = said("list")
    assert not any(line.startswith("some_recogniser") for line in listed)
    assert file.exists()


def test_a_file_is_called_what_it_is_to_be_called(said, file):
    said("import", file, "--family", "arcface", "--name", "mine")
    assert line_of(said("list")[1], "mine")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("import", "none.onnx"), "must be a model file, got no such file"),
        (("remove", "inswapper_128"), "got nothing of it there"),
        (("pull", "simswap_256"), "import FILE --family simswap_256 --name simswap_256"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_5(said, arguments, message):
    code, _, errors = said(*arguments)
    assert code == 5
    assert message in errors[-1]
    assert all(line.startswith("rt-swap: ") for line in errors)


@pytest.mark.parametrize("name", ["mesh", "fusenet", "off", "blazeface", "twins", "swapper"])
def test_a_name_that_stands_for_something_else_is_not_given_to_a_network(said, file, name):
    file = file.rename(file.with_name(f"{name}.onnx"))
    code, _, errors = said("import", file, "--family", "arcface")
    assert code == 5
    assert f"must be a network's alone, got '{name}'" in errors[-1]
    assert said("import", file, "--family", "arcface", "--name", f"my_{name}")[0] == 0


@pytest.mark.parametrize("command", ["remove", "show", "pull"])
def test_a_name_of_nothing_makes_no_sense_and_is_exit_code_2(said, command):
    code, _, errors = said(command, "nobody")
    assert code == 2
    assert "must be a name of the catalogue" in errors[-1]


def test_a_family_of_nothing_makes_no_sense_either(said, file):
    code, _, errors = said("import", file, "--family", "nobody")
    assert code == 2
    assert "must be a family of networks" in errors[-1]


def test_a_file_that_was_changed_is_listed_as_damaged_with_what_mends_it(said, file, tmp_path):
    said("import", file, "--family", "arcface")
    (stored,) = (tmp_path / "cache").rglob("some_recogniser.onnx")
    stored.write_bytes(stored.read_bytes()[:-1] + b"x")
    (stored.parents[1] / "face_landmark.tflite").write_bytes(b"x")
    _, listed, _ = said("list")
    assert line_of(listed, "face_landmark").split()[1] == "damaged"
    assert (
        "face_landmark is damaged or was changed. Run: rt-swap models pull face_landmark" in listed
    )
    assert listed[-1].endswith("models remove some_recogniser, then import the file again")
    facts = dict(line.split(maxsplit=1) for line in said("show", "some_recogniser")[1])
    assert facts["here"] == "damaged"
    assert facts["cure"].startswith("Run: rt-swap models remove some_recogniser")


def test_an_import_whose_file_is_gone_is_listed_as_damaged_and_can_be_removed(said, file, tmp_path):
    said("import", file, "--family", "arcface")
    (stored,) = (tmp_path / "cache").rglob("some_recogniser.onnx")
    stored.unlink()
    _, listed, _ = said("list")
    assert line_of(listed, "some_recogniser").split()[1] == "damaged"
    assert said("remove", "some_recogniser")[0] == 0
    assert list(stored.parent.iterdir()) == []


@pytest.mark.parametrize("left", [".onnx", ".json"])
def test_what_is_left_of_an_import_is_named_and_can_be_removed(said, file, tmp_path, left):
    said("import", file, "--family", "arcface")
    (stored,) = (tmp_path / "cache").rglob("some_recogniser.onnx")
    record = stored.with_suffix(".json")
    if left == ".onnx":
        record.unlink()
    else:
        record.write_text("{}")
        stored.unlink()
    _, listed, _ = said("list")
    assert listed[-1] == (
        "some_recogniser: an imported file of no use. Run: rt-swap models remove some_recogniser"
    )
    assert said("remove", "some_recogniser")[0] == 0
    assert list(stored.parent.iterdir()) == []


def test_an_unknown_file_is_asked_about(said, file):
    code, _, (error,) = said("import", file)
    assert code == 5
    assert "Its tensors fit: arcface." in error


def test_the_licence_is_a_line_of_its_own_before_a_download(said):
    """From a place where nothing answers, so that nothing is fetched."""
    code, _, errors = said("pull", "simswap_256")
    assert code == 5
    assert errors[0].startswith("rt-swap: licence of simswap_256: CC BY-NC 4.0, non-commercial, ")


def test_the_list_tells_what_can_be_had_and_how(said):
    _, listed, _ = said("list")
    assert line_of(listed, "face_landmark").split()[1] == "default"
    assert line_of(listed, "hyperswap_1a_256").split()[1:4] == ["-", "402.7", "MB"]
    assert line_of(listed, "simswap_256").split()[1:3] == ["import", "?"]
    assert "(Non-commercial research only (InsightFace))" in line_of(listed, "inswapper_128")


def test_every_known_file_and_its_mirrors_are_shown(said):
    _, shown, _ = said("show", "inswapper_128_fp16")
    assert sum(line.startswith("sha256") for line in shown) == 3
    sources = [line for line in shown if line.startswith("source")]
    assert all(line.count("https://") >= 1 for line in sources)
    assert any("huggingface.co" in line for line in sources)


def test_the_file_of_a_cached_model_is_the_one_that_is_removed(said, tmp_path):
    models = Path(tmp_path / "cache" / "models")
    models.mkdir(parents=True)
    for name in ("face_landmark.tflite", "face_landmark.onnx", "face_landmark.json", "other.txt"):
        (models / name).write_bytes(b"x")
    said("remove", "face_landmark")
    assert [path.name for path in models.iterdir()] == ["other.txt"]
