"""The networks as PyTorch modules; the files that are shipped are tested with the catalogue."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engines.networks.srsn.losses import (  # noqa: E402
    BlurPool,
    PatchCritic,
    TextureDistance,
    VggDistance,
    colour_loss,
    critic_loss,
)
from engines.networks.srsn.network import KINDS, SCALES, bicubic_taps, build  # noqa: E402
from tools.imresize import imresize  # noqa: E402

GMAC = 1e9


def noise(*shape, seed=1):
    return torch.from_numpy(np.random.default_rng(seed).random(shape, np.float32))


def trained(kind, scale):
    """A network whose last layer does something."""
    torch.manual_seed(3)
    network = build(kind, scale).eval()
    for weight in list(network.parameters())[-2:]:
        torch.nn.init.normal_(weight, std=0.02)
    return network


def multiplications(network, height, width):
    """Of the convolutions that learn, for one picture."""
    found = []

    def count(layer, _, out):
        found.append(out.shape[2] * out.shape[3] * layer.weight.numel())

    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(count)
    with torch.inference_mode():
        network(noise(1, 3, height, width))
    return sum(found)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", SCALES)
def test_pictures_of_any_size_come_out_larger_and_stay_in_range(kind, scale):
    with torch.inference_mode():
        large = trained(kind, scale)(3 * noise(2, 3, 11, 17) - 1)
    assert large.shape == (2, 3, 11 * scale, 17 * scale)
    assert large.min() == 0.0
    assert large.max() == 1.0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", SCALES)
def test_before_training_a_network_enlarges_as_matlab_does(kind, scale):
    small = 0.2 + 0.6 * noise(1, 3, 16, 20)
    with torch.inference_mode():
        large = build(kind, scale)(small)[0].permute(1, 2, 0).numpy()
    wanted = imresize(small[0].permute(1, 2, 0).numpy().astype(np.float64), 16 * scale, 20 * scale)
    # At the border MATLAB mirrors the picture and the network repeats its edge.
    inside = slice(2 * scale, -2 * scale)
    np.testing.assert_allclose(large[inside, inside], wanted[inside, inside], atol=2e-6)


def test_the_taps_are_those_of_keys_kernel():
    taps = bicubic_taps(2)
    np.testing.assert_allclose(taps.sum(axis=1), 1.0)
    wanted = [-0.0234375, 0.2265625, 0.8671875, -0.0703125, 0.0]
    np.testing.assert_allclose(taps, [wanted, wanted[::-1]])


@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_residual_is_added_to_bicubic_enlargement(kind):
    network, small = trained(kind, 2), 0.3 + 0.4 * noise(1, 3, 24, 24)
    with torch.inference_mode():
        made, detail, plain = network(small), network.detail(small), network.bicubic(small)
    assert float(detail.abs().max()) > 1e-3
    torch.testing.assert_close(made, (detail + plain).clamp(0, 1))


@pytest.mark.parametrize(("kind", "least", "most"), [("full", 12.7, 12.9), ("lite", 0.19, 0.2)])
def test_a_network_costs_what_it_is_meant_to(kind, least, most):
    assert least <= multiplications(build(kind, 2), 128, 128) / GMAC <= most


def test_there_is_no_normalisation_that_could_shift_colours():
    for kind in KINDS:
        kinds = {type(layer).__name__ for layer in build(kind, 4).modules()}
        assert not [name for name in kinds if "Norm" in name]


def test_other_kinds_and_scales_are_refused():
    with pytest.raises(ValueError, match="kind must be one of full, lite, got huge"):
        build("huge", 2)
    with pytest.raises(ValueError, match="scale must be 2 or 4, got 3"):
        build("lite", 3)


def test_the_texture_distance_asks_for_as_much_texture_whatever_its_place():
    distance = TextureDistance()
    grain, other = (0.5 + 0.2 * (noise(1, 3, 64, 64, seed=seed) - 0.5) for seed in (1, 2))
    flat = torch.full_like(grain, 0.5)
    assert float(distance(grain, grain)) == 0.0
    # L1 prefers no grain to another grain; this one asks for some.
    assert torch.nn.functional.l1_loss(grain, flat) < torch.nn.functional.l1_loss(grain, other)
    wrong = distance(grain, flat), distance(grain, other)
    assert float(wrong[1]) < 2 * float(wrong[0])
    brighter = distance(grain, grain + 0.1)
    assert float(brighter) < 0.05 * float(wrong[0])


@pytest.mark.parametrize("kind", ["VGG16", "VGG19", "shift-tolerant VGG16"])
def test_vgg_is_taken_from_a_file_with_the_names_of_its_makers(kind, tmp_path):
    state = {name: torch.full(shape, 1e-2) for name, shape in _vgg_shapes(kind).items()}
    torch.save(state, tmp_path / "vgg.pt")
    distance = VggDistance(tmp_path / "vgg.pt")
    assert not any(weight.requires_grad for weight in distance.parameters())
    x, y = noise(1, 3, 32, 32), noise(1, 3, 32, 32, seed=2)
    assert float(distance(x, x)) == 0.0
    assert float(distance(x, y)) > 0.0
    del state[next(name for name in reversed(state) if state[name].shape[2:] == (3, 3))]
    torch.save(state, tmp_path / "part.pt")
    with pytest.raises(ValueError, match=r"must hold VGG16 or VGG19, got 1[25] convolutions"):
        VggDistance(tmp_path / "part.pt")


def test_the_blurred_pooling_of_a_flat_picture_is_flat_and_of_half_the_size():
    flat = torch.full((1, 2, 16, 12), 3.0)
    assert torch.equal(BlurPool()(flat), torch.full((1, 2, 9, 7), 3.0))


def _vgg_shapes(kind):
    """Shapes of a VGG's weights by the names of torchvision or ST-LPIPS."""
    wide, is_blurred = kind.endswith("19"), kind.startswith("shift")
    counts = (2, 2, 4, 4, 4) if wide else (2, 2, 3, 3, 3)
    shapes, place, given = {}, 0, 3
    for block, (count, wanted) in enumerate(zip(counts, (64, 128, 256, 512, 512), strict=True), 1):
        if block > 1:
            if is_blurred:
                shapes[f"net.slice{block}.{place + 1}.filt"] = (given, 1, 3, 3)
            place += 2 if is_blurred else 1
        for _ in range(count):
            name = f"net.slice{block}.{place}" if is_blurred else f"features.{place}"
            shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (wanted, given, 3, 3), (wanted,)
            place, given = place + 2, wanted
    return shapes


def test_the_critic_scores_patches_and_its_layers_stay_bounded():
    torch.manual_seed(1)
    critic = PatchCritic(8)
    scores = critic(noise(2, 3, 64, 64))
    assert scores.shape == (2, 1, 8, 8)
    for layer in critic.modules():
        if isinstance(layer, torch.nn.Conv2d):
            for _ in range(30):
                weight = layer.weight
            largest = torch.linalg.matrix_norm(weight.detach().flatten(1), 2)
            assert float(largest) == pytest.approx(1.0, abs=0.1)


def test_the_critic_is_content_once_real_and_made_are_a_margin_apart():
    one = torch.ones(4)
    assert float(critic_loss(one, -one)) == 0.0
    assert float(critic_loss(-one, one)) == 4.0


def test_detail_moves_no_colour_and_a_shift_does():
    checks = torch.ones(1, 3, 16, 16)
    checks[..., ::2] = -1
    assert abs(float(colour_loss(checks, 8))) < 1e-8
    assert float(colour_loss(0.25 + checks, 8)) == pytest.approx(0.25, rel=0.01)
