import errno
import os
import time

import numpy as np
import pytest

from engines import build as building
from engines.build import BuildProgress, Recipe, build, key_of
from engines.build_worker import prepare
from engines.cache import PlanCache
from engines.errors import ModelError
from engines.graphs import inputs_of
from engines.onnxruntime import OnnxRuntimeSession
from engines.profiles import Extents, Limits
from engines.reference import Reference, hold_to
from engines.twins import enlarger

SMALL = Limits(batch=Extents(1, 1, 2), side_px=Extents(32, 48, 64))


@pytest.fixture
def crops():
    return [np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)]


@pytest.fixture
def cache(tmp_path):
    return PlanCache(tmp_path / "plans")


def test_a_recipe_survives_the_way_to_another_process():
    recipe = Recipe(
        targets=("sm_89", "sm_86"), precision="fp32", limits=SMALL, pixels=((0, 255),), threads=3
    )
    assert Recipe.from_json(recipe.as_json()) == recipe


def test_a_network_is_prepared_in_checked_steps(crops, capsys):
    prepared = prepare(enlarger(2, 8), crops, Recipe(limits=SMALL), "enlarger")
    assert prepared.facts["precision"] == "fp16"
    assert prepared.facts["simplify_error"] < 1e-5
    assert prepared.facts["simplify_error"] < prepared.facts["simplify_tolerance"]
    assert 0 < prepared.facts["fp16_error"] < 0.01
    assert prepared.profile["picture"][2] == (2, 3, 64, 64)
    assert '"fraction": 0.3' in capsys.readouterr().out


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_what_a_plan_is_held_to_is_what_a_plan_takes(crops, twins, precision):
    """TensorRT knows no float64, in which CodeFormer has its weight."""
    model = twins.restorer(256, weighted=True)
    recipe = Recipe(precision=precision, pixels=((-1.0, 1.0),))
    prepared = prepare(model, crops, recipe, "codeformer")
    taken = {one.name: one.dtype for one in inputs_of(prepared.model, "codeformer")}
    given = {name: array.dtype for name, array in prepared.reference.samples[0].items()}
    assert given == taken == {"input": np.float32, "weight": np.float32}


def test_float32_asked_for_is_float32_got(crops):
    prepared = prepare(enlarger(1, 8), crops, Recipe(limits=SMALL, precision="fp32"), "enlarger")
    assert prepared.facts["precision"] == "fp32"
    assert "fp16_error" not in prepared.facts


@pytest.mark.rtx
def test_a_plan_is_built_once_and_found_again(crops, cache):
    seen: list[BuildProgress] = []
    recipe = Recipe(targets=("sm_86",), limits=SMALL)
    (first,) = build(enlarger(1, 8), crops, recipe, cache, on_progress=seen.append)
    assert not first.was_cached
    assert first.data == first.path.read_bytes()
    assert first.facts["precision"] == "fp16"
    assert first.facts["seconds"] > 0
    assert [one.fraction for one in seen] == sorted(one.fraction for one in seen)
    assert (seen[-1].phase, seen[-1].fraction, seen[-1].eta_s) == ("done", 1.0, 0.0)
    assert any(one.eta_s for one in seen[1:-1])
    (again,) = build(enlarger(1, 8), crops, recipe, cache)
    assert again.was_cached
    assert (again.data, again.facts["precision"]) == (first.data, "fp16")
    kinds = sorted(path.suffix for path in cache.folder.iterdir())
    assert kinds == [".json", ".plan", ".reference"]
    # A session that computes what the network does passes; the plan itself needs a GPU.
    model = enlarger(1, 8)
    for built in (first, again):
        reference = Reference.from_bytes(built.reference)
        assert len(reference.samples) == 1
        assert hold_to(OnnxRuntimeSession(model), reference, name="enlarger").error < 1e-6


@pytest.mark.rtx
def test_another_target_is_another_plan():
    keys = {key_of(b"model", Recipe(), target).digest for target in ("sm_86", "sm_89")}
    assert len(keys) == 2


@pytest.mark.rtx
def test_several_targets_are_built_from_one_preparation_and_only_those_that_are_missing(
    crops, cache
):
    build(enlarger(1, 8), crops, Recipe(targets=("sm_86",), limits=SMALL), cache)
    seen: list[BuildProgress] = []
    recipe = Recipe(targets=("sm_89", "sm_86", "sm_120"), limits=SMALL)
    plans = build(enlarger(1, 8), crops, recipe, cache, on_progress=seen.append)
    assert [one.key.target for one in plans] == ["sm_89", "sm_86", "sm_120"]
    assert [one.was_cached for one in plans] == [False, True, False]
    assert len({one.data for one in plans}) == 3
    assert sum(one.phase == "fp16" for one in seen) == 1
    fractions = [one.fraction for one in seen]
    assert fractions == sorted(fractions)


@pytest.mark.rtx
def test_a_target_that_nobody_can_build_for_is_refused_before_anything_is_done(
    crops, cache, monkeypatch
):
    monkeypatch.setattr(building.subprocess, "Popen", None)
    recipe = Recipe(targets=("sm_86", "sm_1"), limits=SMALL)
    with pytest.raises(ModelError, match=r"enlarger: the target must be one of .*, got 'sm_1'"):
        build(enlarger(1, 8), crops, recipe, cache, name="enlarger")
    assert not cache.folder.exists()


@pytest.mark.rtx
def test_a_full_disk_is_named_when_the_work_is_laid_out(crops, cache, monkeypatch):
    def write(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(building.Path, "write_bytes", write)
    with pytest.raises(ModelError, match="there must be room for the models, got a full disk"):
        build(enlarger(1, 8), crops, Recipe(limits=SMALL), cache)


@pytest.mark.rtx
def test_an_error_in_the_process_is_the_same_one_line_error_here(crops, cache):
    with pytest.raises(ModelError, match="broken: must be an ONNX model"):
        build(b"\xff\xff", crops, Recipe(limits=SMALL), cache, name="broken")
    assert list(cache.folder.iterdir()) == []


@pytest.mark.rtx
def test_a_process_that_dies_is_an_error_that_says_so(crops, cache, monkeypatch):
    monkeypatch.setattr(building.sys, "executable", "/bin/false")
    with pytest.raises(ModelError, match="must end well, got exit code 1: nothing said"):
        build(enlarger(1, 8), crops, Recipe(limits=SMALL), cache)


@pytest.mark.rtx
@pytest.mark.skipif(os.name == "nt", reason="needs a shell script in place of Python")
def test_a_build_that_is_not_wanted_any_more_is_stopped_at_once(
    crops, cache, monkeypatch, tmp_path
):
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\nexec sleep 60\n")
    script.chmod(0o755)
    monkeypatch.setattr(building.sys, "executable", str(script))
    began_s = time.monotonic()
    with pytest.raises(ModelError, match="got stopped"):
        build(enlarger(1, 8), crops, Recipe(limits=SMALL), cache, is_wanted=lambda: False)
    assert time.monotonic() - began_s < 10


@pytest.mark.rtx
@pytest.mark.skipif(os.name == "nt", reason="needs a shell script in place of Python")
def test_what_a_library_prints_in_between_disturbs_nothing_and_ctrl_c_stops_the_process(
    crops, cache, monkeypatch, tmp_path
):
    script = tmp_path / "python"
    script.write_text(
        '#!/bin/sh\necho $$ > "$3/../pid"\necho "hello from a library"\necho 7\n'
        'echo \'{"phase": "build", "fraction": 0.5}\'\nexec sleep 60\n'
    )
    script.chmod(0o755)
    monkeypatch.setattr(building.sys, "executable", str(script))

    def interrupt(progress):
        assert progress.fraction == 0.5
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(enlarger(1, 8), crops, Recipe(limits=SMALL), cache, on_progress=interrupt)
    with pytest.raises(ProcessLookupError):
        os.kill(int((cache.folder / "pid").read_text()), 0)
