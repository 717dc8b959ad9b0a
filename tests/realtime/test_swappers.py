"""From the name of a network and some pictures to a stage that works; needs the face networks."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.errors import ModelError
from engines.families.crops import cut_crop
from engines.families.recogniser import unit
from engines.families.templates import fit_template
from engines.models.face_finder import open_face_finder
from engines.models.library import ModelLibrary
from engines.onnxruntime import OnnxRuntimeSession
from engines.opener import open_exactly
from realtime import swap_networks
from realtime.config import load_config
from realtime.errors import ConfigError, MediaError
from realtime.five_points import five_points
from realtime.frame import PictureSpec
from realtime.identity import find_portraits
from realtime.job import FaceChoice
from realtime.memory import Memory
from realtime.stages.neural_swap import NeuralSwap
from realtime.stages.swap import MeshSwap
from realtime.swap_networks import open_networks, swapper_threads
from realtime.swappers import needed_models, neural_family, open_swapper, read_people

pytestmark = pytest.mark.models

TWINS = {
    "in_twin": ("inswapper", lambda t: t.swapper(128, emap=True)),
    "deep_twin": ("inswapper", lambda t: t.published_swapper((8, 8, 16, 16), blocks=1)),
    "hyper_twin": ("hyperswap", lambda t: t.swapper(256, mask=True)),
    "ghost_twin": ("ghost", lambda t: t.swapper(256)),
    "uni_twin": ("uniface", lambda t: t.swapper(256, source=(3, 256, 256))),
    "somebody": ("dfm", lambda t: t.deepface(224)),
    "arc_twin": ("arcface", lambda t: t.recogniser()),
    "small_twin": ("mobilefacenet", lambda t: t.recogniser(dimensions=128)),
    "crossface_ghost": ("crossface", lambda t: t.converter()),
    "mask_twin": ("xseg", lambda t: t.occlusion()),
}
SWAPPERS = ["in_twin", "hyper_twin", "ghost_twin", "uni_twin", "somebody"]


@pytest.fixture(scope="module")
def library(twins, library_with):
    """The face networks and a twin of each kind."""
    return library_with({name: (family, make(twins)) for name, (family, make) in TWINS.items()})


@pytest.fixture(scope="module")
def connections(library):
    return library.path("face_mesh_connections").read_text("utf-8")


@pytest.fixture(scope="module")
def portrait(library):
    return library.path("portrait_astronaut")


@pytest.fixture(scope="module")
def others(portrait, tmp_path_factory):
    """The same portrait in other light and leaning."""
    image = cv2.imread(str(portrait))
    folder = tmp_path_factory.mktemp("pictures")
    turn = cv2.getRotationMatrix2D((220, 120), 10, 1.0)
    turned = cv2.warpAffine(image, turn, (512, 512), borderMode=cv2.BORDER_REPLICATE)
    paths = [folder / "dark.png", folder / "turned.png"]
    cv2.imwrite(str(paths[0]), (image * 0.7).astype(np.uint8))
    cv2.imwrite(str(paths[1]), turned)
    return paths


def config(swapper, **neural):
    settings = {"recogniser": "arc_twin"} | neural
    return load_config(
        settings=[f"neural.{k}={v}" for k, v in settings.items()], flags={"swapper": swapper}
    )


def portraits_of(library, *paths):
    with open_face_finder(library.session) as finder:
        return find_portraits([FaceChoice(path) for path in paths], finder)


@pytest.mark.parametrize("name", SWAPPERS)
def test_a_swapper_of_every_kind_becomes_a_stage(library, connections, portrait, name):
    stage = open_swapper([[FaceChoice(portrait)]], config(name), library, connections)
    assert isinstance(stage, NeuralSwap)
    assert stage.name == "swap"


def test_mesh_is_the_swapper_without_a_network(library, connections, portrait):
    assert needed_models(load_config(), library) == ()
    stage = open_swapper([[FaceChoice(portrait)]], load_config(), library, connections)
    assert isinstance(stage, MeshSwap)
    with pytest.raises(ConfigError, match="several people need a swapping network"):
        open_swapper([[], []], load_config(), library, connections)


@pytest.mark.parametrize(
    ("name", "neural", "needed"),
    [
        ("in_twin", {"recogniser": "null"}, ("in_twin", "arcface_w600k_r50")),
        ("in_twin", {}, ("in_twin", "arc_twin")),
        ("ghost_twin", {}, ("ghost_twin", "arc_twin", "crossface_ghost")),
        ("ghost_twin", {"converter": "mine"}, ("ghost_twin", "arc_twin", "mine")),
        ("uni_twin", {}, ("uni_twin",)),
        ("somebody", {"mask": "mask_twin"}, ("somebody", "mask_twin")),
        ("somebody", {"landmarks": "2dfan4"}, ("somebody", "2dfan4")),
    ],
)
def test_what_a_swapper_needs_beside_itself_is_known_beforehand(library, name, neural, needed):
    assert needed_models(config(name, **neural), library) == needed


@pytest.mark.parametrize("key", ["mask", "landmarks"])
def test_a_helper_of_the_wrong_kind_is_refused_before_anything_is_fetched(library, key):
    with pytest.raises(ConfigError, match=f"neural.{key}: .* 'arc_twin', a recogniser"):
        needed_models(config("somebody", **{key: "arc_twin"}), library)


@pytest.mark.parametrize(
    ("name", "neural", "message"),
    [
        ("in_twim", {}, "swapper: must be 'mesh' or .*, got 'in_twim'. Did you mean in_twin?"),
        ("meshh", {}, "Did you mean mesh?"),
        ("yunett", {}, r"got 'yunett'\. (?!Did you mean yunet)"),
        ("arc_twin", {}, "got 'arc_twin', a recogniser"),
        ("face_landmark", {}, "got 'face_landmark', a face_mesh. See: rt-swap models list"),
        ("in_twin", {"recogniser": "mask_twin"}, "neural.recogniser: .* 'mask_twin', a mask"),
        ("ghost_twin", {"converter": "arc_twin"}, "neural.converter: .* 'arc_twin', a recogniser"),
    ],
)
def test_a_name_of_the_wrong_kind_is_a_configuration_error(
    library, connections, portrait, name, neural, message
):
    with pytest.raises(ConfigError, match=message) as caught:
        open_swapper([[FaceChoice(portrait)]], config(name, **neural), library, connections)
    assert "\n" not in str(caught.value)


def test_a_recogniser_of_another_space_is_refused(library, connections, portrait):
    with pytest.raises(ModelError, match=r"must have 512 numbers, got .* Use the recogniser arc"):
        open_swapper(
            [[FaceChoice(portrait)]],
            config("in_twin", recogniser="small_twin"),
            library,
            connections,
        )


def test_a_picture_without_a_face_is_refused(library, connections, tmp_path):
    empty = tmp_path / "empty.png"
    cv2.imwrite(str(empty), np.full((200, 200, 3), 90, np.uint8))
    with pytest.raises(MediaError, match="no face was found"):
        open_swapper([[FaceChoice(empty)]], config("in_twin"), library, connections)


def embedding(library, twins, path):
    """What the recogniser twin must give for a picture, in double precision."""
    ((image, landmarks),) = portraits_of(library, path)
    crop = np.empty((112, 112, 3), np.uint8)
    cut_crop(image, fit_template(five_points(landmarks), "arcface_112_v2", 112), out=crop)
    return twins.embedding_of(crop[..., ::-1].transpose(2, 0, 1) / 127.5 - 1)


@pytest.mark.parametrize("name", ["in_twin", "hyper_twin", "ghost_twin"])
def test_an_identity_of_several_pictures_is_their_mean_through_the_rule(
    library, twins, portrait, others, name
):
    paths = [portrait, *others]
    given = [embedding(library, twins, path) for path in paths]
    lengths = [np.linalg.norm(e) for e in given]
    middle = np.mean([e / length for e, length in zip(given, lengths, strict=True)], axis=0)
    middle *= np.mean(lengths) / np.linalg.norm(middle)
    mapped = middle @ twins.emap_matrix().astype(np.float64)
    expected = {
        "in_twin": mapped / np.linalg.norm(mapped),
        "deep_twin": ("inswapper", lambda t: t.published_swapper((8, 8, 16, 16), blocks=1)),
        "hyper_twin": middle / np.linalg.norm(middle),
        "ghost_twin": 2 * middle[::-1],
    }[name]
    (person,) = read_people(
        name,
        neural_family(name, library),
        [portraits_of(library, *paths)],
        config(name),
        library,
    )
    assert person.dtype == np.float32
    assert unit(person) @ (expected / np.linalg.norm(expected)) > 1 - 1e-6
    np.testing.assert_allclose(np.linalg.norm(person), np.linalg.norm(expected), rtol=1e-3)


def test_a_swapper_that_is_shown_a_picture_gets_the_most_frontal_one(library, portrait, others):
    portraits = portraits_of(library, portrait, *others)
    family = neural_family("uni_twin", library)
    people = [
        read_people("uni_twin", family, [part], config("uni_twin"), library)[0]
        for part in (portraits, portraits[::-1])
    ]
    assert people[0].shape == (3, 256, 256)
    assert 0 <= people[0].min() < people[0].max() <= 1
    np.testing.assert_array_equal(*people)


def test_the_built_in_face_needs_no_picture(library, connections):
    assert isinstance(open_swapper([[]], config("in_twin"), library, connections), NeuralSwap)


_AVERAGED = "neural.fuse_features=auto"


@pytest.mark.parametrize(
    ("name", "settings", "opened"),
    [
        ("deep_twin", [_AVERAGED], ["deep_twin, first half", "deep_twin, second half"]),
        ("deep_twin", [], ["deep_twin"]),
        ("deep_twin", [_AVERAGED, "neural.boost=2"], ["deep_twin"]),
        ("deep_twin", [_AVERAGED, "fuse.enabled=false"], ["deep_twin"]),
        ("deep_twin", [_AVERAGED, "fuse.memory.enabled=false"], ["deep_twin"]),
        ("in_twin", [_AVERAGED], ["in_twin"]),
        ("somebody", [_AVERAGED], ["somebody"]),
    ],
)
def test_features_are_averaged_where_a_swapper_can_be_cut_at_a_smaller_map(
    library, connections, portrait, name, settings, opened
):
    seen = []

    def opener(model, *, threads, name, exact, pixels):
        if not exact:
            seen.append(name)
        return open_exactly(model, threads=threads, name=name)

    own = ModelLibrary(portrait.parent, offline=True, open_network=opener)
    chosen = load_config(
        settings=["neural.recogniser=arc_twin", *settings], flags={"swapper": name}
    )
    stage = open_swapper([[FaceChoice(portrait)]], chosen, own, connections)
    stage.open(PictureSpec(320, 240, Fraction(30), live=False), Memory())
    stage.close()
    assert seen == opened


def test_with_boost_the_crops_go_through_the_network_in_one_batch(library, connections, portrait):
    runs = []

    class Counted(OnnxRuntimeSession):
        def enqueue(self, inputs, *, out, stream):
            runs.append([array.shape[0] for array in inputs.values()])
            super().enqueue(inputs, out=out, stream=stream)

    def opener(model, *, threads, name, exact, pixels):
        return Counted(model, name=name)

    own = ModelLibrary(portrait.parent, offline=True, open_network=opener)
    stage = open_swapper([[FaceChoice(portrait)]], config("in_twin", boost=2), own, connections)
    runs.clear()
    stage.open(PictureSpec(320, 240, Fraction(30), live=False), Memory())
    stage.close()
    assert runs == [[4, 4]]


def test_on_a_gpu_a_swapper_runs_whole(library, connections, portrait, monkeypatch):
    monkeypatch.setattr(swap_networks, "settled_device", lambda kind, name: "cuda")
    seen = []

    def opener(model, *, threads, name, exact, pixels):
        seen.append(name)
        return open_exactly(model, threads=threads, name=name)

    own = ModelLibrary(portrait.parent, offline=True, open_network=opener)
    stage = open_swapper([[FaceChoice(portrait)]], config("deep_twin"), own, connections)
    stage.open(PictureSpec(320, 240, Fraction(30), live=False), Memory())
    stage.close()
    assert seen[-1] == "deep_twin"


def test_files_of_the_library_stay_as_they_are(library):
    assert sorted(Path(library._cache_dir, "imported").glob("*.onnx"))
    for name in TWINS:
        assert library.describe(name).is_cached


class Sized:
    """A library that knows only how large its network is."""

    def __init__(self, num_bytes):
        self._num_bytes = num_bytes

    def num_bytes(self, name):
        assert name == "somebody"
        return self._num_bytes


@pytest.mark.parametrize(
    ("num_bytes", "cores", "settings", "threads"),
    [
        (5_000_000, 2, [], 1),
        (5_000_000, 2, ["device.threads=2"], 2),
        (500_000_000, 1, [], 1),
        (500_000_000, 2, [], 2),
        (500_000_000, 8, [], 7),
        (500_000_000, 2, ["device.threads=4"], 4),
        (500_000_000, 8, ["neural.threads=3"], 3),
        (5_000_000, 8, ["neural.threads=3"], 3),
    ],
)
def test_a_heavy_network_gets_the_cores_that_wait_for_it(
    monkeypatch, num_bytes, cores, settings, threads
):
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    chosen = load_config(settings=settings, flags={"swapper": "somebody"})
    assert swapper_threads(chosen, Sized(num_bytes)) == threads


@pytest.mark.parametrize(
    ("name", "boost", "sides_px"),
    [
        ("in_twin", "auto", [128, 256]),
        ("in_twin", "3", [384]),
        ("hyper_twin", "auto", [256, 512]),
        ("somebody", "auto", [224]),
    ],
)
def test_close_ups_get_crops_of_up_to_512_pixels(library, name, boost, sides_px):
    with open_networks(config(name, boost=boost), library) as networks:
        swappers = (networks.swapper, *networks.boosted)
        assert [swapper.crop_px for swapper in swappers] == sides_px


def test_networks_that_were_trained_on_five_alignments_have_them(library):
    for name, count in (("ghost_twin", 5), ("in_twin", 1), ("somebody", 1)):
        with open_networks(config(name), library) as networks:
            assert networks.swapper.templates.shape == (count, 5, 2)
