"""The landmarks of the neutral face, placed in a picture; needs no network."""

from importlib import resources

import numpy as np


def neutral_landmarks(middle=(160.0, 160.0), width_px=150.0):
    """``(468, 3) f32`` of a frontal face whose larger side is so many pixels."""
    with resources.files("realtime").joinpath("face_mesh.npz").open("rb") as file:
        neutral = np.load(file)["neutral"].astype(np.float64)
    scale = width_px / np.ptp(neutral[:, :2], axis=0).max()
    points = neutral * scale
    points[:, :2] += np.asarray(middle) - (points[:, :2].min(0) + points[:, :2].max(0)) / 2
    return points.astype(np.float32)
