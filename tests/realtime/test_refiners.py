"""From what was asked for to a network behind the swapper."""

import pytest

from engines.errors import ModelError
from engines.models.library import ModelLibrary
from realtime.config import load_config
from realtime.errors import ConfigError
from realtime.refiners import OWN, needed_refiners, open_refiner, refines
from realtime.swappers import needed_models

OWN_TWIN = "refine.network=fuse_twin"


@pytest.fixture
def library(tmp_path, twins):
    """What comes with the program, and a twin of FuseNet."""
    path = tmp_path / "fuse_twin.onnx"
    path.write_bytes(twins.fuser(32))
    library = ModelLibrary(tmp_path / "cache", offline=True)
    library.import_file(path, family="fusenet")
    return library


def config_of(swapper="mesh", *settings):
    return load_config(settings=settings, flags={"swapper": swapper})


@pytest.mark.parametrize(
    ("swapper", "settings", "expected"),
    [
        ("mesh", (), False),
        ("fusenet", (), True),
        ("mesh", ("refine.enabled=true",), True),
        ("inswapper_128", (), False),
        ("inswapper_128", ("refine.enabled=true",), True),
    ],
)
def test_it_works_behind_its_own_swapper_and_where_it_is_asked_for(swapper, settings, expected):
    assert refines(config_of(swapper, *settings)) is expected


def test_nothing_is_needed_where_it_does_not_work(library):
    assert needed_refiners(config_of("mesh", OWN_TWIN), library) == ()
    assert needed_models(config_of("mesh", OWN_TWIN), library) == ()


def test_its_network_is_fetched_beforehand_and_opened(library):
    config = config_of("fusenet", OWN_TWIN)
    assert needed_refiners(config, library) == ("fuse_twin",)
    assert needed_models(config, library) == ("fuse_twin",)
    with open_refiner(config, library) as fuser:
        assert fuser.side_px == 32
        fuser.run()


def test_weights_that_do_not_come_with_this_version_are_missing_models(library, monkeypatch):
    every = tuple(one for one in library.list() if one.name not in OWN)
    monkeypatch.setattr(type(library), "list", lambda _: every)
    with pytest.raises(
        ModelError, match=r"^fusenet_lite: its weights must .*--swapper mesh"
    ) as got:
        needed_refiners(config_of("fusenet"), library)
    assert got.value.exit_code == 5


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ("fuse_twn", r"must be a network like FuseNet, got 'fuse_twn'. Did you mean fuse_twin\?"),
        ("xyz", r"got 'xyz'. There are: fusenet_lite, fusenet_full\."),
        ("xseg_3", r"got 'xseg_3', a mask. There are: fusenet_lite"),
        ("hand_landmark", r"got 'hand_landmark'. There are"),
    ],
)
def test_what_is_no_such_network_is_refused(library, network, message):
    config = config_of("fusenet", f"refine.network={network}")
    with pytest.raises(ConfigError, match=rf"refine\.network: .*{message}"):
        needed_refiners(config, library)
