"""Muon's steps, against singular value decomposition."""

import copy

import pytest

torch = pytest.importorskip("torch")

from engines.networks.srsn.muon import Muon, matrices, orthogonal  # noqa: E402
from engines.networks.srsn.network import build  # noqa: E402


@pytest.mark.parametrize("shape", [(32, 288), (288, 32), (17, 17)])
def test_the_singular_values_become_alike_and_their_directions_stay(shape):
    torch.manual_seed(1)
    left, values, right = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    # The iteration leaves what is a hundredth of the largest behind.
    values = values.clamp_min(0.1 * float(values.max()))
    found = orthogonal(left @ torch.diag(values) @ right)
    along = left.T @ found @ right.T
    assert float(along.diagonal().min()) > 0.6
    assert float(along.diagonal().max()) < 1.3
    apart = along - torch.diag(along.diagonal())
    assert float(apart.abs().max()) < 1e-3


def test_a_step_is_as_large_as_adams_whatever_the_gradient():
    torch.manual_seed(1)
    for size in (1e-6, 1e3):
        weight = torch.nn.Parameter(torch.zeros(64, 64, 3, 3))
        weight.grad = size * torch.randn(weight.shape)
        Muon([weight], 1e-3).step()
        step = weight.detach().square().mean().sqrt()
        assert float(step) == pytest.approx(0.2 * 1e-3, rel=0.25)


def test_momentum_is_kept_with_the_rest_of_its_state():
    torch.manual_seed(1)
    gradients = torch.randn(4, 16, 16, 3, 3)
    whole = torch.nn.Parameter(torch.zeros(16, 16, 3, 3))
    first = Muon([whole], 1e-2)
    for gradient in gradients[:2]:
        whole.grad = gradient.clone()
        first.step()
    other = torch.nn.Parameter(whole.detach().clone())
    second = Muon([other], 1e-2)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for weight, optimiser in ((whole, first), (other, second)):
        for gradient in gradients[2:]:
            weight.grad = gradient.clone()
            optimiser.step()
    assert torch.equal(whole, other)


def test_thin_layers_and_biases_are_left_to_adam():
    for kind, ours in (("full", 18), ("lite", 4)):
        network = build(kind, 2)
        wide, others = matrices(network)
        assert len(wide) == ours
        assert len(wide) + len(others) == len(list(network.parameters()))
        assert all(min(weight.shape[:2]) >= 16 for weight in wide)


def test_a_loss_computed_inside_the_step_is_refused():
    with pytest.raises(ValueError, match="closure must be None"):
        Muon([torch.nn.Parameter(torch.zeros(16, 16, 3, 3))], 1e-3).step(lambda: 0.0)
