from dataclasses import replace
from pathlib import Path

import pytest

from engines.cache import PlanCache, PlanKey, default_plan_dir
from engines.profiles import Extents, Limits

KEY = PlanKey("a" * 64, "tensorrt_rtx", "1.7.1", "sm_86", Limits(), ("fp16",))


@pytest.fixture
def cache(tmp_path):
    return PlanCache(tmp_path / "plans")


def test_a_plan_comes_back_as_it_was_stored_with_what_is_known_of_it(cache):
    path = cache.store(KEY, b"plan", {"seconds": 3})
    assert cache.load(KEY) == b"plan"
    assert path == cache.path(KEY)
    note = cache.note(KEY)
    assert note["seconds"] == 3
    assert note["key"]["target"] == "sm_86"


@pytest.mark.parametrize(
    "change",
    [
        {"model_sha256": "b" * 64},
        {"module": "tensorrt"},
        {"version": "1.7.2"},
        {"target": "sm_89"},
        {"limits": Limits(batch=Extents(1, 1, 2))},
        {"limits": Limits(side_px=Extents(64, 256, 512))},
        {"flags": ("fp32",)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_a_plan_depends_on_makes_another_key(cache, change):
    cache.store(KEY, b"plan", {})
    assert cache.load(replace(KEY, **change)) is None


def test_the_order_of_the_flags_does_not_matter():
    one, other = (replace(KEY, flags=flags) for flags in (("a", "b"), ("b", "a")))
    assert one.digest == other.digest


def test_a_plan_that_was_changed_on_disk_is_not_used(cache):
    path = cache.store(KEY, b"plan", {})
    path.write_bytes(b"plan and more")
    assert cache.load(KEY) is None


@pytest.mark.parametrize("note", [b"", b"{", b"[1]", b'{"plan_sha256": "0"}'])
def test_a_note_that_does_not_speak_for_the_plan_makes_it_be_built_again(cache, note):
    path = cache.store(KEY, b"plan", {})
    path.with_suffix(".json").write_bytes(note)
    assert cache.load(KEY) is None


def test_nothing_is_found_where_nothing_is(cache):
    assert (cache.load(KEY), cache.note(KEY), cache.load_kernels(KEY)) == (None, None, b"")


def test_kernels_lie_beside_their_plan(cache):
    cache.store_kernels(KEY, b"kernels")
    assert cache.load_kernels(KEY) == b"kernels"
    assert cache.load_kernels(replace(KEY, target="sm_89")) == b""


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data + b"x", lambda _: b""]
)
def test_kernels_that_were_changed_on_disk_are_not_used(cache, damage):
    cache.store_kernels(KEY, b"kernels")
    path = cache.path(KEY).with_suffix(".kernels")
    path.write_bytes(damage(path.read_bytes()))
    assert cache.load_kernels(KEY) == b""


def test_the_folder_is_in_the_users_cache_unless_the_environment_names_another(monkeypatch):
    monkeypatch.setenv("RT_SWAP_CACHE", "/somewhere")
    assert default_plan_dir() == Path("/somewhere/plans")
    monkeypatch.delenv("RT_SWAP_CACHE")
    assert default_plan_dir().name == "plans"
    assert "rt-swap" in str(default_plan_dir())
