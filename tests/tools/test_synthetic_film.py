import numpy as np
import pytest

from engines.models.face_finder import FACE_NETWORKS
from engines.models.library import ModelLibrary
from realtime.head_motion import Swing
from realtime.job_models import CONNECTIONS, PORTRAIT
from tools.synthetic_film import RATE_HZ, Pulses, noisy, scripted_film, still_film

S_NS = 1_000_000_000


def test_a_pulse_lies_in_the_middle_of_its_time_and_is_at_rest_otherwise():
    pulses = Pulses(S_NS, S_NS // 2, mouth_open=0.8)
    heights = [
        pulses.at(round(share * S_NS)).mouth_open for share in (0, 0.2, 0.375, 0.5, 0.8, 2.5)
    ]
    assert heights == pytest.approx([0, 0, 0.4, 0.8, 0, 0.8])
    assert pulses.at(S_NS // 2).eyes_closed == 0


def test_noise_has_the_spread_that_is_asked_for_and_is_new_in_each_picture():
    grey = np.full((80, 90, 3), 128, np.uint8)
    film = still_film(grey, sigma=4.0, num_frames=3)
    apart = np.stack(film.pictures).astype(float) - 128
    assert apart.std() == pytest.approx(np.sqrt(16 + 1 / 12), rel=0.02)
    assert abs(apart.mean()) < 0.1
    assert abs(np.corrcoef(apart[0].ravel(), apart[1].ravel())[0, 1]) < 0.05
    assert film.times_ns == [0, 33_333_333, 66_666_667]


def test_the_same_seed_gives_the_same_noise_and_no_noise_changes_nothing():
    grey = np.full((8, 9, 3), 128, np.uint8)
    assert np.array_equal(noisy([grey], 4.0, 5)[0], noisy([grey], 4.0, 5)[0])
    assert not np.array_equal(noisy([grey], 4.0, 5)[0], noisy([grey], 4.0, 6)[0])
    assert np.array_equal(noisy([grey], 0.0)[0], grey)


@pytest.mark.models
def test_a_scripted_film_comes_with_the_truth_about_each_picture():
    library = ModelLibrary()
    library.pull((*FACE_NETWORKS, CONNECTIONS, PORTRAIT))
    swing = Swing(1.0, yaw=10.0)
    scripted = scripted_film("swing", swing, num_frames=16, size=(320, 180), library=library)
    assert scripted.film.pictures[0].shape == (180, 320, 3)
    assert scripted.film.rate_hz == RATE_HZ
    yaws = [truth.pose.yaw for truth in scripted.truths]
    assert len(yaws) == 16
    assert int(np.argmax(yaws)) in (7, 8)
    assert max(yaws) - yaws[0] > 7
