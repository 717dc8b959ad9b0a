"""Trainings so small that they take seconds."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engines.networks import srsn  # noqa: E402
from tools.srsn_recipe import load_recipe, load_recipes  # noqa: E402
from tools.srsn_training import Training, load_average  # noqa: E402
from tools.train_srsn import main  # noqa: E402

LITE = "srsn_lite_x2_fidelity"


@pytest.fixture(autouse=True)
def one_thread():
    """Sums in the same order each time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def patches():
    """Lines and discs, small and large."""
    random = np.random.default_rng(1)
    large = np.full((48, 48, 3), 90, np.uint8)
    for _ in range(12):
        ends = random.integers(0, 48, (2, 2))
        cv2.line(large, ends[0].tolist(), ends[1].tolist(), random.integers(0, 256, 3).tolist(), 2)
    small = cv2.resize(large, (24, 24), interpolation=cv2.INTER_AREA)

    def planes(image):
        return np.ascontiguousarray(image[None].transpose(0, 3, 1, 2), np.float32) / 255

    return planes(small), planes(large)


def training(name=LITE, **changes):
    recipe = load_recipe(name)
    return Training(recipe.model_copy(update=changes), "cpu", 1)


def weights_of(one):
    return [weight.detach().clone() for weight in one.network.parameters()]


def test_every_recipe_names_a_network_and_what_it_starts_from():
    recipes = load_recipes()
    shipped = {
        f"srsn_{kind}_x{scale}_{look}"
        for kind in ("lite", "full")
        for scale in (2, 4)
        for look in ("fidelity", "perceptual")
    }
    starts = {recipe.start_from for recipe in recipes.values()} - {None}
    assert shipped <= set(recipes) == shipped | starts
    for name, recipe in recipes.items():
        assert name == f"srsn_{recipe.kind}_x{recipe.scale}_{name.rpartition('_')[2]}"
        assert recipe.start_from is None or recipe.start_from in recipes
        is_perceptual = name.endswith("perceptual")
        assert (recipe.losses.adversarial > 0) == is_perceptual
    with pytest.raises(ValueError, match="must be one of srsn_lite_x2_fidelity"):
        load_recipe("srsn")


@pytest.mark.parametrize("name", [LITE, "srsn_lite_x4_perceptual"])
def test_the_loss_falls_on_a_picture_it_sees_again_and_again(name, patches):
    small, large = patches
    if name.endswith("x4_perceptual"):
        small = small[:, :, ::2, ::2].copy()
    # The rate is still rising in so few steps.
    one = training(name, steps=200, rate=0.01)
    losses = [one.advance(small, large)["l1"] for _ in range(50)]
    assert np.mean(losses[-5:]) < 0.95 * losses[0]


def test_a_perceptual_training_tells_all_parts_of_its_loss(patches):
    facts = training("srsn_lite_x2_perceptual", steps=2).advance(*patches)
    assert set(facts) == {"l1", "colour", "perceptual", "adversarial", "critic", "rate"}
    assert facts["critic"] > 0


@pytest.mark.parametrize("name", [LITE, "srsn_lite_x2_perceptual"])
def test_a_training_that_was_interrupted_ends_with_the_same_weights(name, patches, tmp_path):
    whole = training(name, steps=6)
    for _ in range(6):
        whole.advance(*patches)
    first = training(name, steps=6)
    for _ in range(3):
        first.advance(*patches)
    first.save(tmp_path / "first.pt")
    second = training(name, steps=6)
    second.load(tmp_path / "first.pt")
    assert second.step == 3
    for _ in range(3):
        second.advance(*patches)
    for wanted, found in zip(weights_of(whole), weights_of(second), strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=0)
    kept = zip(whole.average.parameters(), second.average.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in kept)


def test_the_averaged_weights_follow_slowly_and_are_those_that_are_read(patches, tmp_path):
    one = training(steps=30)
    for _ in range(30):
        one.advance(*patches)
    one.save(tmp_path / f"{LITE}.pt")
    averaged = load_average(tmp_path / f"{LITE}.pt")
    kept = [weight.detach() for weight in averaged.network.parameters()]
    assert any(not torch.equal(a, b) for a, b in zip(kept, weights_of(one), strict=True))
    assert averaged.resolve(np.full((9, 13, 3), 90, np.uint8)).shape == (18, 26, 3)


def test_a_network_for_another_scale_starts_from_the_layers_they_share(patches, tmp_path):
    two = training("srsn_full_x2_fidelity", steps=2)
    for _ in range(2):
        two.advance(*patches)
    two.save(tmp_path / "two.pt")
    four = training("srsn_full_x4_fidelity")
    four.start_from(tmp_path / "two.pt")
    shared = two.average.state_dict()["trunk.0.first.weight"]
    torch.testing.assert_close(four.network.state_dict()["trunk.0.first.weight"], shared)
    with pytest.raises(ValueError, match="must have been trained before"):
        four.start_from(tmp_path / "none.pt")


def test_the_rate_rises_then_falls(patches):
    one = training(steps=20)
    rates = [one.advance(*patches)["rate"] for _ in range(20)]
    assert rates[0] <= max(rates) == load_recipe(LITE).rate
    assert rates[-1] < 0.05 * max(rates)
    assert rates[1:] == sorted(rates[1:], reverse=True)


@pytest.fixture
def data(tmp_path):
    """Two folders of pictures."""
    random = np.random.default_rng(2)
    for name in ("photos", "faces"):
        (tmp_path / name).mkdir()
        for index in range(10):
            image = cv2.GaussianBlur(
                random.integers(0, 256, (110, 110, 3)).astype(np.uint8), (0, 0), 2
            )
            cv2.imwrite(str(tmp_path / name / f"{index}.png"), image)
    return [f"--data={tmp_path / 'photos'}", f"--data={tmp_path / 'faces'}:100"]


def test_the_command_trains_writes_its_log_and_goes_on_from_there(data, tmp_path, capsys):
    out = tmp_path / "runs"
    for steps in (2, 4):
        assert main([LITE, "--out", str(out), *data, "--steps", str(steps), "--threads", "1"]) == 0
    with (out / f"{LITE}.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["2", "4"]
    assert all(float(row["psnr_db"]) > 20 for row in rows)
    assert torch.load(out / f"{LITE}.pt", weights_only=True)["step"] == 4


def test_the_command_begins_with_a_shipped_network_unless_it_has_a_checkpoint(data, tmp_path):
    shipped = Path(srsn.__file__).parent / f"{LITE}.onnx"
    command = [LITE, "--out", str(tmp_path), *data, "--init", str(shipped), "--threads", "1"]
    assert main([*command, "--steps", "0"]) == 0
    wanted = Training(load_recipe(LITE), "cpu", 1)
    wanted.start_from(shipped)
    found = load_average(tmp_path / f"{LITE}.pt").network.state_dict()
    assert all(torch.equal(found[name], w) for name, w in wanted.average.state_dict().items())
    assert main([*command[:-3], str(tmp_path / "none.onnx"), "--steps", "0"]) == 0


def test_wrong_data_are_told_in_one_line(data, tmp_path, capsys):
    assert main([LITE, "--out", str(tmp_path / "out"), data[0]]) == 2
    assert "--data: must be given 2 times" in capsys.readouterr().err
    assert main(["srsn_full_x2_perceptual", "--out", str(tmp_path / "out"), *data]) == 2
    assert "must have been trained before" in capsys.readouterr().err
