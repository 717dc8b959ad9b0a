"""People painted onto the mesh, so that everything about their pictures is known."""

import cv2
import numpy as np

from cuda_kernels.rasterize import rasterize
from realtime.face_mesh import INNER_LIPS, LEFT_EYE, RIGHT_EYE
from realtime.face_zones import MAP_PX

SKIN = (120.0, 150.0, 200.0)
BROWS = (30.0, 35.0, 45.0)
LIPS = (110.0, 100.0, 190.0)
EYES = (200.0, 120.0, 60.0)
"""Blue all over, which no skin is."""

MOUTH = (60.0, 200.0, 60.0)
"""A green tongue, to be told from anything else."""

BACKGROUND = (70, 90, 60)


def rotation(yaw=0.0, pitch=0.0, roll=0.0):
    """``(3, 3)`` with the signs of ``realtime.frame.Pose``, degrees."""
    y, p, r = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(y), 0, -np.sin(y)], [0, 1, 0], [np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return about_y @ about_x @ about_z


class Sitter:
    """Paints maps of faces and draws them posed."""

    def __init__(self, mesh, zones):
        self._mesh = mesh
        self._zones = zones

    def landmarks(self, width_px=180.0, centre=(160.3, 160.4), mouth_open=0.0, **angles):
        """``(468, 3) f32`` image pixels.

        Args:
            width_px: width of the frontal face.
            centre: middle of its bounding box where it looks ahead; not whole, as a pixel's
                centre then hardly ever lies on an edge.
            mouth_open: how far the lower lip is let down, in widths of the face.
            angles: yaw, pitch and roll in degrees.
        """
        shape = self._mesh.neutral.astype(np.float64)
        shape = shape - (shape.max(axis=0) + shape.min(axis=0)) / 2
        shape /= np.ptp(shape[:, 0])
        shape[:, 1] += mouth_open * self._below_the_mouth(shape)
        placed = width_px * shape @ rotation(**angles).T
        placed[:, :2] += centre
        return placed.astype(np.float32)

    def _below_the_mouth(self, shape):
        """``(468,)`` how far each point goes with the lower jaw, 0..1."""
        upper = shape[[INNER_LIPS[0], *INNER_LIPS[:9:-1]]]
        below = shape[:, 1] - np.interp(shape[:, 0], upper[:, 0], upper[:, 1])
        goes = below > 1e-3
        goes[list(INNER_LIPS[10:])] = goes[INNER_LIPS[0]] = False
        goes[list(INNER_LIPS[1:10])] = True
        width = 0.1 + 0.5 * np.clip(below, 0, 0.4)
        return goes * np.exp(-((shape[:, 0] / width) ** 2))

    def looks(self, skin=SKIN, brows=BROWS, lips=LIPS, eyes=EYES, light=1.0, spots=0.0):
        """``(MAP_PX, MAP_PX, 3) f32`` the face spread flat.

        Args:
            skin, brows, lips, eyes: BGR colours.
            light: what everything is multiplied by; may be a map.
            spots: standard deviation of the skin's own pattern, as a share.
        """
        zones = self._zones
        pattern = np.random.default_rng(7).normal(0, 1, (MAP_PX // 8, MAP_PX // 8))
        pattern = cv2.resize(pattern.astype(np.float32), (MAP_PX, MAP_PX))
        face = np.float32(skin) * (1 + spots * pattern)[..., None]
        eye = np.zeros((MAP_PX, MAP_PX), np.uint8)
        rings = [self._mesh.layout[list(ring)] * MAP_PX for ring in (RIGHT_EYE, LEFT_EYE)]
        cv2.fillPoly(eye, [np.round(ring).astype(np.int32) for ring in rings], 1)
        for mask, colour in ((zones.brow_hair, brows), (zones.lips, lips), (eye, eyes)):
            face += mask[..., None] * (np.float32(colour) - face)
        return np.asarray(face * np.asarray(light, np.float32), np.float32)

    def picture(self, looks, landmarks, size=(320, 320), background=BACKGROUND):
        """``(H, W, 3) u8`` of one person, or of several where lists are given."""
        image = np.full((*size, 3), background, np.uint8)
        if isinstance(landmarks, np.ndarray):
            looks, landmarks = [looks], [landmarks]
        for look, points in zip(looks, landmarks, strict=True):
            self._draw(look, points, image)
        return image

    def _draw(self, looks, landmarks, image):
        height, width = image.shape[:2]
        values = np.empty((len(landmarks), 3), np.float32)
        values[:, :2] = self._mesh.layout * MAP_PX - 0.5
        values[:, 2] = 1.0
        at = np.empty((height, width, 3), np.float32)
        rasterize(
            np.ascontiguousarray(landmarks[:, :2]),
            np.ascontiguousarray(landmarks[:, 2] - landmarks[:, 2].mean()),
            self._mesh.closed,
            values,
            out=at,
            depth=np.empty((height, width), np.float32),
        )
        looks = np.ascontiguousarray(looks)
        face = cv2.remap(looks, at[..., 0], at[..., 1], cv2.INTER_LINEAR)
        mouth = np.zeros((height, width), np.uint8)
        lips = np.round(landmarks[list(INNER_LIPS), :2] * 16).astype(np.int32)
        cv2.fillPoly(mouth, [lips], 255, cv2.LINE_AA, 4)
        face += (mouth / np.float32(255))[..., None] * (np.float32(MOUTH) - face)
        drawn = at[..., 2] > 0
        image[drawn] = np.clip(np.round(face[drawn]), 0, 255)
