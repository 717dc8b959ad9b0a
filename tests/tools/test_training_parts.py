import signal

import pytest

torch = pytest.importorskip("torch")

from tools.training_parts import follow, load_state, save_state, stops  # noqa: E402


def test_a_signal_ends_the_training_after_its_step_and_not_the_process():
    before = signal.getsignal(signal.SIGTERM)
    with stops() as asked:
        assert not asked
        signal.raise_signal(signal.SIGTERM)
        assert asked == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_average_follows_fast_at_first_and_slowly_later():
    average, network = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
    moved = []
    for step in (0, 100_000):
        torch.nn.init.zeros_(average.weight)
        torch.nn.init.ones_(network.weight)
        follow(average, network, step)
        moved.append(average.weight.item())
    assert moved == pytest.approx([0.9, 0.001])


def test_a_checkpoint_gives_back_what_was_saved_and_leaves_no_part_of_a_file(tmp_path):
    one, other = torch.nn.Linear(2, 3), torch.nn.Linear(2, 3)
    save_state(tmp_path / "a.pt", {"layer": one}, step=7)
    state = load_state(tmp_path / "a.pt", {"layer": other}, "cpu")
    assert state["step"] == 7
    assert torch.equal(one.weight, other.weight)
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]
