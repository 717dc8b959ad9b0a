"""Trainings so small that they take seconds, on faces that are ovals."""

from importlib import resources

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from realtime.face_mesh import OVAL  # noqa: E402
from tools import train_fusenet  # noqa: E402
from tools.fusenet_disturb import overdone, with_foreign_brow  # noqa: E402
from tools.fusenet_losses import (  # noqa: E402
    Scene,
    flow_grid,
    mask_loss,
    rim_loss,
    sampled,
    steady_loss,
    tone_loss,
)
from tools.fusenet_pairs import Pairs, arcface_grid  # noqa: E402
from tools.fusenet_pictures import ShotSource  # noqa: E402
from tools.fusenet_recipe import Losses, Recipe, Stage, load_recipe  # noqa: E402
from tools.fusenet_training import Training  # noqa: E402
from tools.fusenet_zones import RIM_PX, zones  # noqa: E402
from tools.judge import ARCFACE_PX  # noqa: E402
from tools.training_parts import rate_at  # noqa: E402

SIDE = 96
CANVAS = 128
ALL_LOSSES = {"truth": 1, "edges": 1, "mask": 0.3, "colour": 1, "detail": 0.3, "tone": 1, "rim": 1}


@pytest.fixture(autouse=True)
def one_thread():
    """Sums in the same order each time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def tables():
    with resources.files("realtime").joinpath("face_mesh.npz").open("rb") as file:
        return dict(np.load(file))


@pytest.fixture(scope="module")
def pairs(tables):
    """Two people, each drawn on themselves and on the other, a little too dark."""
    neutral = tables["neutral"]
    landmarks = np.asarray(neutral * 30, np.float32)
    landmarks[:, :2] += CANVAS / 2 - landmarks[:, :2].mean(axis=0)
    outline = np.round(landmarks[list(OVAL), :2]).astype(np.int32)
    alpha = np.zeros((CANVAS, CANVAS), np.uint8)
    cv2.fillPoly(alpha, [outline], 255)
    alpha = cv2.GaussianBlur(alpha, (0, 0), 1.5)
    random = np.random.default_rng(1)
    canvases, faces = [], []
    for colour in ((90, 120, 180), (60, 80, 110)):
        canvas = np.full((CANVAS, CANVAS, 3), 40, np.uint8)
        cv2.fillPoly(canvas, [outline], colour)
        canvas += random.integers(0, 12, canvas.shape, np.uint8)
        canvases.append(canvas)
        faces.append(np.asarray(0.8 * canvas, np.uint8))
    order = [(0, 0), (1, 1), (0, 1), (1, 0)]
    points = landmarks[[468 // 2, 263, 1, 61, 291], :2]
    return Pairs(
        canvas=np.stack(canvases),
        landmarks=np.stack([landmarks] * 2),
        points=np.stack([points] * 2),
        embedding=np.eye(2, 128, dtype=np.float32),
        target=np.array([target for target, _ in order]),
        source=np.array([source for _, source in order]),
        picture=np.stack([canvases[target] for target, _ in order]),
        face=np.stack([faces[source] for _, source in order]),
        alpha=np.stack([alpha] * 4),
    )


@pytest.fixture(scope="module")
def source(pairs, tables):
    return ShotSource(pairs, tables["mirror"], SIDE, 1)


def recipe(frames=1, steps=400, **weights):
    losses = Losses(**(ALL_LOSSES | weights))
    stage = Stage(steps=steps, sequences=1, frames=frames, patch_px=64, others=0.5, losses=losses)
    return Recipe(name="fusenet_lite", kind="lite", rate=0.01, stages=(stage,))


def weights_of(one):
    return [weight.detach().clone() for weight in one.network.parameters()]


def test_the_same_step_gives_the_same_sequences_and_another_one_others(source):
    first, again, other = (source.shots(step, 2, 2, 0.5, 64) for step in (4, 4, 5))
    assert np.array_equal(first.render, again.render)
    assert not np.array_equal(first.context, other.context)
    assert first.render.shape == (2, 2, 3, 64, 64)
    assert first.confidence.shape == (2, 2, 1, 16, 16)
    assert first.flow.shape == (2, 2, 64, 64, 2)


def test_all_planes_lie_between_0_and_1_and_nothing_is_known_of_the_first_frame(source):
    shots = source.shots(1, 3, 3, 0.5)
    for name in ("render", "validity", "context", "keep", "truth", "hidden", "confidence"):
        values = getattr(shots, name)
        assert values.dtype == np.float32
        assert values.min() >= 0
        assert values.max() <= 1 + 1e-5
    assert not shots.confidence[:, 0].any()
    assert shots.confidence[:, 1:].max() > 0.3


def test_overdone_light_and_shadow_spread_about_the_same_mean():
    random = np.random.default_rng(3)
    face = np.asarray(random.uniform(80, 120, (64, 64, 3)), np.float32)
    alpha = np.full((64, 64), 255, np.float32)
    spoilt = overdone(random, face, alpha)
    assert spoilt.dtype == np.float32
    assert spoilt.std() > 1.08 * face.std()
    assert spoilt.mean() == pytest.approx(face.mean(), rel=0.02)


def test_overdone_light_and_shadow_do_not_see_what_lies_beside_the_face():
    face = np.zeros((64, 64, 3), np.float32)
    alpha = np.zeros((64, 64), np.float32)
    face[:, :32], alpha[:, :32] = 120, 255
    spoilt = overdone(np.random.default_rng(3), face, alpha)
    assert spoilt[:, :32] == pytest.approx(face[:, :32], abs=3)


def test_the_picture_before_lies_where_the_flow_says(source):
    apart, still = [], []
    for step in range(6):
        shots = source.shots(step, 1, 2, 0.0)
        before, now = (torch.from_numpy(shots.truth[:, number]) for number in (0, 1))
        moved = sampled(before, flow_grid(torch.from_numpy(shots.flow[:, 1])))
        inner = (..., slice(16, -16), slice(16, -16))
        seen = torch.from_numpy(1 - shots.hidden.max(axis=1))[inner]
        gain = (now[inner].mean() / moved[inner].mean()).item()
        apart.append(((gain * moved - now)[inner].abs() * seen).mean().item())
        still.append(((gain * before - now)[inner].abs() * seen).mean().item())
    assert np.mean(apart) < 0.8 * np.mean(still)


def test_the_recognisers_crop_is_found_in_the_networks():
    grid = arcface_grid(np.eye(2, 3)[None], 160)
    assert grid.shape == (1, ARCFACE_PX, ARCFACE_PX, 2)
    picture = torch.rand(1, 3, 160, 160)
    found = sampled(picture, torch.from_numpy(grid))
    torch.testing.assert_close(found, picture[..., :ARCFACE_PX, :ARCFACE_PX], atol=1e-4, rtol=0)


def test_a_change_that_follows_the_flow_costs_nothing_and_another_one_does():
    picture = torch.rand(1, 3, 32, 32)
    flow = torch.zeros(1, 32, 32, 2)
    flow[..., 0] = -3
    grid = flow_grid(flow)
    later = sampled(picture, grid)
    ones, none = torch.ones(1, 1, 32, 32), torch.zeros(1, 1, 32, 32)
    zones = torch.zeros(1, 2, 32, 32)

    def scene(truth):
        return Scene(truth, ones, truth, none, truth, none, zones, torch.zeros(1, 1, 1, 1))

    class Made:
        def __init__(self, image):
            self.image = image

    def loss(image):
        before = (scene(picture), Made(picture))
        return steady_loss(scene(later), Made(image), *before, grid, ones).item()

    assert loss(later) == 0
    assert loss(later * 0.9) > 0.03
    assert loss(picture) > 0.1


def test_a_mask_that_leaves_out_what_stands_in_front_is_right():
    ones, none = torch.ones(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    hidden = none.clone()
    hidden[..., :4] = 1
    colours = torch.zeros(1, 3, 8, 8)
    zones = torch.zeros(1, 2, 8, 8)
    scene = Scene(colours, ones, colours, none, colours, hidden, zones, torch.ones(1, 1, 1, 1))

    class Made:
        def __init__(self, blend):
            self.blend = blend

    assert mask_loss(scene, Made(1 - hidden)).item() == 0
    assert mask_loss(scene, Made(ones)).item() > 0.4


def test_tone_and_rim_compare_somebody_elses_face_with_the_picture_in_their_zones_only():
    truth = torch.rand(1, 3, 64, 64)
    ones, none = torch.ones(1, 1, 64, 64), torch.zeros(1, 1, 64, 64)
    both = torch.zeros(1, 2, 64, 64)
    both[:, 0, 16:32, 16:32] = 1
    both[:, 1, 40:48] = 1

    class Made:
        def __init__(self, image):
            self.image = image

    def losses_of(image, own=0.0):
        scene = Scene(truth, ones, truth, none, truth, none, both, torch.full((1, 1, 1, 1), own))
        return [loss(scene, Made(image)).item() for loss in (tone_loss, rim_loss)]

    assert losses_of(truth) == [0, 0]
    darker = truth.clone()
    darker[..., 16:32, 16:32] -= 0.1
    tone, rim = losses_of(darker)
    assert tone == pytest.approx(0.1, rel=0.1)
    assert rim == 0
    assert losses_of(darker, own=1.0) == [0, 0]
    darker = truth.clone()
    darker[..., 40:48, :] -= 0.1
    tone, rim = losses_of(darker)
    assert tone == 0
    assert rim == pytest.approx(0.1, rel=0.1)


def test_the_rim_lies_inside_the_outer_edge_and_openings_have_none(pairs):
    validity = np.asarray(pairs.alpha[0], np.float32) / 255
    middle = np.argwhere(validity > 0.5).mean(axis=0).astype(int)
    validity[middle[0] - 3 : middle[0] + 3, middle[1] - 6 : middle[1] + 6] = 0
    skin, rim = zones(pairs.landmarks[0, :, :2], validity)
    row = validity[middle[0] + 12]
    edge = int(np.argmax(row > 0.5))
    assert rim[middle[0] + 12, edge] == 1
    assert 0 < rim[middle[0] + 12, edge + RIM_PX // 2] < 0.8
    assert rim[middle[0] + 12, edge + RIM_PX + 1] == 0
    assert rim[middle[0] - 6 : middle[0] + 6, middle[1] - 9 : middle[1] + 9].max() == 0
    assert 0.03 < skin.sum() / (validity > 0.5).sum() < 0.4


def test_a_foreign_forehead_ends_above_the_brows(pairs):
    outline = pairs.landmarks[0, :, :2]
    own = np.zeros((CANVAS, CANVAS, 3), np.uint8)
    other = np.full_like(own, 200)
    shares = []
    for seed in range(20):
        mixed = with_foreign_brow(np.random.default_rng(seed), own, other, outline)
        assert mixed[int(outline[:, 1].mean()) :].max() == 0
        shares.append((mixed > 100).mean())
    assert max(shares) > 0.15
    assert np.std(shares) > 0.01


def test_the_loss_falls_on_faces_it_sees_again_and_again(source):
    one = Training(recipe(), "cpu", 1)
    shots = source.shots(2, 2, 1, 0.0, 64)
    losses = [one.advance(shots)["truth"] for _ in range(40)]
    assert np.mean(losses[-5:]) < 0.8 * losses[0]


def test_a_training_in_time_tells_all_parts_of_its_loss(source):
    one = Training(recipe(frames=3, steady=1.0, realism=0.01), "cpu", 1)
    facts = one.advance(source.shots(0, 1, 3, 0.5, 64))
    assert set(facts) == {*ALL_LOSSES, "steady", "realism", "critic", "rate"}
    assert all(np.isfinite(value) for value in facts.values())


def test_a_training_that_was_interrupted_ends_with_the_same_weights(source, tmp_path):
    plan = recipe(frames=2, steps=6, steady=1.0, realism=0.01)

    def steps(one, which):
        for step in which:
            one.advance(source.shots(step, 1, 2, 0.5, 64))
        return one

    whole = steps(Training(plan, "cpu", 1), range(4))
    steps(Training(plan, "cpu", 1), range(2)).save(tmp_path / "half.pt")
    second = Training(plan, "cpu", 9)
    second.load(tmp_path / "half.pt")
    assert second.step == 2
    steps(second, range(2, 4))
    for wanted, found in zip(weights_of(whole), weights_of(second), strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=0)


def test_an_identity_loss_without_a_recogniser_is_refused():
    with pytest.raises(ValueError, match="an identity loss needs a recogniser"):
        Training(recipe(identity=0.1), "cpu", 1)


def test_the_rate_rises_and_falls_and_stages_follow_each_other():
    rates = [rate_at(step, 1000, 1.0) for step in (0, 49, 600, 999)]
    assert rates[0] < 0.03
    assert rates[1] > rates[2] > rates[3] > 0
    plan = load_recipe("fusenet_lite")
    assert plan.steps == sum(stage.steps for stage in plan.stages)
    assert plan.stage_at(0) is plan.stages[0]
    assert plan.stage_at(plan.stages[0].steps) is plan.stages[1]
    assert plan.stage_at(plan.steps + 5) is plan.stages[-1]
    with pytest.raises(ValueError, match="must be one of fusenet_lite"):
        load_recipe("fusenet_tiny")


def test_the_log_and_the_checkpoint_are_written_to_the_end(source, tmp_path, monkeypatch):
    monkeypatch.setattr(train_fusenet, "LOG_EVERY", 1)
    one = Training(recipe(steps=3), "cpu", 1)
    train_fusenet.run(one, source, tmp_path / "fusenet_lite", workers=1)
    rows = (tmp_path / "fusenet_lite.csv").read_text().splitlines()
    assert len(rows) == 4
    assert rows[0].startswith("step,seconds,rate,truth")
    assert torch.load(tmp_path / "fusenet_lite.pt", weights_only=True)["step"] == 3


def test_a_folder_without_pairs_is_an_error_in_one_line(tmp_path, capsys):
    arguments = ["fusenet_lite", "--data", str(tmp_path), "--out", str(tmp_path / "runs")]
    assert train_fusenet.main(arguments) == 2
    assert "train.npz" in capsys.readouterr().err
