import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engines.networks.srsn.network import build  # noqa: E402
from tools.refit_srsn import main, measure, solve  # noqa: E402
from tools.srsn_recipe import load_recipe  # noqa: E402
from tools.srsn_training import Training, load_average  # noqa: E402

LITE = "srsn_lite_x2_fidelity"


def batch(seed):
    random = np.random.default_rng(seed)
    large = np.stack(
        [cv2.GaussianBlur(random.random((48, 48, 3), np.float32), (0, 0), 1.0) for _ in range(4)]
    )
    small = np.stack([cv2.resize(one, (24, 24), interpolation=cv2.INTER_AREA) for one in large])
    return tuple(np.ascontiguousarray(one.transpose(0, 3, 1, 2)) for one in (small, large))


def squared_error(network, patches):
    small, large = (torch.from_numpy(one) for one in patches)
    with torch.inference_mode():
        wrong = network.detail(small) + network.bicubic(small) - large
    return float(wrong[..., 2:-2, 2:-2].square().mean())


def test_no_other_last_layer_has_a_smaller_squared_error():
    torch.manual_seed(1)
    network, patches = build("lite", 2).eval(), batch(1)
    before = squared_error(network, patches)
    solve(network, measure(network, 2, [patches]))
    least = squared_error(network, patches)
    assert least < 0.95 * before
    for seed in range(3):
        torch.manual_seed(seed)
        with torch.no_grad():
            moved = network.layers[-1].weight.clone()
            network.layers[-1].weight.add_(1e-3 * torch.randn_like(moved))
        assert squared_error(network, patches) > least
        with torch.no_grad():
            network.layers[-1].weight.copy_(moved)


def test_the_share_decides_which_patches_are_fitted():
    torch.manual_seed(1)
    network = build("lite", 2).eval()
    one, other = ([batch(seed)] for seed in (1, 2))
    errors = []
    for share in (1.0, 0.5, 0.0):
        first, second = (measure(network, 2, patches) for patches in (one, other))
        solve(network, first.mixed(second, share))
        errors.append(squared_error(network, one[0]))
    assert errors == sorted(errors)
    assert errors[0] < 0.99 * errors[-1]


@pytest.fixture
def data(tmp_path):
    for name in ("photos", "faces"):
        (tmp_path / name).mkdir()
        for index in range(10):
            noise = np.random.default_rng(index).integers(0, 256, (110, 110, 3)).astype(np.uint8)
            cv2.imwrite(str(tmp_path / name / f"{index}.png"), cv2.GaussianBlur(noise, (0, 0), 2))
    return [f"--data={tmp_path / name}" for name in ("photos", "faces")]


def test_the_command_writes_a_checkpoint_whose_last_layer_alone_is_new(data, tmp_path):
    Training(load_recipe(LITE), "cpu", 1).save(tmp_path / f"{LITE}.pt")
    command = [str(tmp_path / f"{LITE}.pt"), "--out", str(tmp_path / "new"), *data]
    assert main([*command, "--batches", "2", "--threads", "1"]) == 0
    paths = (tmp_path / f"{LITE}.pt", tmp_path / "new" / f"{LITE}.pt")
    before, after = (load_average(path).network.state_dict() for path in paths)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"layers.10.weight", "layers.10.bias"}


def test_what_cannot_be_fitted_is_told_in_one_line(data, tmp_path, capsys):
    full = tmp_path / "srsn_full_x2_fidelity.pt"
    Training(load_recipe(full.stem), "cpu", 1).save(full)
    assert main([str(full), "--out", str(tmp_path), *data]) == 2
    assert "must be a lite network, got a full one" in capsys.readouterr().err
    assert main([str(full), "--out", str(tmp_path), *data, "--clean", "2"]) == 2
    assert "--clean: must be from 0 to 1, got 2" in capsys.readouterr().err
