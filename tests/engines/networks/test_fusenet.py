"""FuseNet as a PyTorch module; the file that is shipped is tested with the catalogue."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engines.networks.fusenet.fusion import Fusion, into_windows, out_of_windows  # noqa: E402
from engines.networks.fusenet.network import (  # noqa: E402
    SHAPES,
    SPREAD,
    ToneGap,
    build,
    no_memory,
)
from realtime.fusenet_inputs import SPREAD as OF_INPUTS  # noqa: E402

GMAC = 1e9


def noise(*shape, seed=1):
    return torch.from_numpy(np.random.default_rng(seed).random(shape, np.float32))


def inputs(shape, side=None, seed=1):
    """Pictures of noise without a memory, in the network's order."""
    side = side or shape.size_px
    planes = [noise(1, c, side, side, seed=seed + c) for c in (3, 1, 3, 1)]
    return [*planes, *no_memory(shape, 1, side)]


@pytest.fixture(scope="module")
def learnt():
    """A small network whose last layer does something."""
    torch.manual_seed(3)
    network = build("lite").eval()
    torch.nn.init.normal_(network.head.weight, std=0.02)
    torch.nn.init.normal_(network.fuse_4.gate.weight, std=0.1)
    return network


@pytest.mark.parametrize(("kind", "most"), [("lite", 0.35), ("full", 15.0)])
def test_a_network_needs_no_more_multiplications_than_it_may(kind, most):
    network, count = build(kind).eval(), 0

    def add(module, _given, made):
        nonlocal count
        per_value = module.weight[0].numel()
        count += per_value * made.numel()

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(add)
    with torch.inference_mode():
        network(*inputs(network.shape))
    assert 0.3 * most < count / GMAC <= most


def drawn(level, around, side=96):
    """A square face of one grey on a picture of another."""
    shape = SHAPES["lite"]
    covered = torch.zeros(1, 1, side, side)
    covered[..., 16:-16, 16:-16] = 1
    context = torch.full((1, 3, side, side), around)
    return [level * covered.expand(-1, 3, -1, -1), covered, context, 1 - covered], no_memory(
        shape, 1, side
    )


@pytest.mark.parametrize("level", [0.3, 0.5, 0.6])
def test_a_network_that_has_learnt_nothing_brings_the_tone_nearer_and_does_no_more(level):
    network = build("lite").eval()
    planes, memory = drawn(level, 0.5)
    with torch.inference_mode():
        made = network(*planes, *memory)
    inner = made.image[..., 24:-24, 24:-24]
    torch.testing.assert_close(
        inner, torch.full_like(inner, level + 0.8 * (0.5 - level)), atol=0.01, rtol=0
    )
    share = made.blend[..., 16:-16, 16:-16]
    assert share.min() > 0.95
    assert share.max() <= 1.0


def test_the_gap_of_tones_does_not_see_what_lies_beside_the_face():
    gap = ToneGap(SHAPES["lite"])
    planes, _ = drawn(0.3, 0.5)
    render, _, context, keep = planes
    wanted = gap(render, context, keep)
    assert wanted[..., 3:-3, 3:-3].min() > 0.18
    context = torch.where(keep > 0, torch.ones(()), context)
    torch.testing.assert_close(gap(render, context, keep), wanted)


def test_the_gap_is_smoothed_as_the_picture_under_the_face_is():
    assert SPREAD == OF_INPUTS


def test_a_memory_without_confidence_has_exactly_no_influence(learnt):
    given = inputs(learnt.shape, 64)
    with torch.inference_mode():
        wanted = learnt(*given)
        given[4], given[5] = 9 * noise(*given[4].shape) - 4, 9 * noise(*given[5].shape) - 4
        found = learnt(*given)
    assert all(torch.equal(a, b) for a, b in zip(wanted, found, strict=True))


def test_a_memory_takes_part_as_far_as_it_is_trusted(learnt):
    given = inputs(learnt.shape, 64)
    with torch.inference_mode():
        alone = learnt(*given)
        given[4], given[5] = noise(*given[4].shape), noise(*given[5].shape)
        changes = []
        for confidence in (0.1, 1.0):
            given[6] = torch.full_like(given[6], confidence)
            changes.append((learnt(*given).image - alone.image).abs().mean().item())
    assert 0 < changes[0] < changes[1]


def test_what_is_not_trusted_is_not_seen_from_the_cell_beside_it():
    torch.manual_seed(1)
    fusion = Fusion(8, 4).eval()
    features, memory = noise(1, 8, 4, 4), noise(1, 8, 4, 4, seed=2)
    confidence = torch.ones(1, 1, 4, 4)
    confidence[..., 2:] = 0
    with torch.inference_mode():
        wanted = fusion(features, memory, confidence)
        memory[..., 2:] = 100
        found = fusion(features, memory, confidence)
    assert torch.equal(found, wanted)
    assert torch.equal(found[..., 2:], features[..., 2:])


def test_the_picture_stays_where_it_is_to_be_kept(learnt):
    given = inputs(learnt.shape, 64)
    given[3][..., :20] = 1
    with torch.inference_mode():
        blend = learnt(*given).blend
    assert blend[..., :20].max() == 0
    assert 0 < blend[..., 20:].max() <= 1


def test_the_memory_that_comes_out_has_the_shape_of_the_one_that_goes_in():
    for kind, shape in SHAPES.items():
        network = build(kind).eval()
        memory_4, memory_8, _ = no_memory(shape, 1, 64)
        with torch.inference_mode():
            made = network(*inputs(shape, 64))
        assert made.next_memory_4.shape == memory_4.shape
        assert made.next_memory_8.shape == memory_8.shape


def test_windows_are_put_back_where_they_were():
    features = noise(2, 3, 8, 12)
    cells = into_windows(features)
    assert cells.shape == (2, 2, 3, 16, 3)
    assert torch.equal(cells[0, 1, 2, 0], features[0, :, 4, 8])
    assert torch.equal(out_of_windows(cells, 8, 12), features)


def test_a_network_of_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="must be one of lite, full"):
        build("tiny")


def test_the_memory_averages_the_noise_of_the_picture_before_anything_is_learnt():
    torch.manual_seed(1)
    network = build("lite").eval()
    planes, (memory_4, memory_8, trust) = drawn(0.3, 0.5)
    random = torch.Generator().manual_seed(2)
    films = {True: [], False: []}
    states = {True: (memory_4, memory_8, trust), False: (memory_4, memory_8, trust)}
    for _ in range(10):
        noisy = planes[2] + 0.05 * torch.randn(planes[2].shape, generator=random)
        for remembers, film in films.items():
            with torch.inference_mode():
                made = network(planes[0], planes[1], noisy, planes[3], *states[remembers])
            film.append(made.image[..., 24:-24, 24:-24])
            if remembers:
                states[True] = (made.next_memory_4, made.next_memory_8, torch.ones_like(trust))
    calm, restless = (torch.stack(films[one][4:]).std(dim=0).mean() for one in (True, False))
    assert calm < 0.6 * restless
