import numpy as np

from realtime.edge_fit import fit_to_edges


def pictured(edge_at):
    grey = np.full((81, 81), 60, np.uint8)
    grey[:, edge_at:] = 150
    return grey


def test_an_edge_of_the_mask_snaps_to_the_edge_of_the_picture_nearby():
    mask = np.zeros((81, 81), np.uint8)
    mask[:, 42:] = 255
    fitted = fit_to_edges(mask, pictured(40), 5)
    # The picture's edge lies between columns 39 and 40, the mask's between 41 and 42.
    assert int(np.diff(fitted[40].astype(int)).argmax()) == 39
    assert fitted[40, 41] > 140


def test_an_edge_of_the_picture_far_away_changes_nothing():
    mask = np.zeros((81, 81), np.uint8)
    mask[:, 60:] = 255
    fitted = fit_to_edges(mask, pictured(20), 5)
    assert fitted[40, :48].max() < 10
    assert fitted[40, 72:].min() > 245


def test_nothing_and_all_stay_what_they_are():
    noise = np.random.default_rng(0).integers(0, 256, (81, 81)).astype(np.uint8)
    assert fit_to_edges(np.zeros((81, 81), np.uint8), noise, 4).max() <= 1
    assert fit_to_edges(np.full((81, 81), 255, np.uint8), noise, 4).min() >= 254
