"""Pictures of a face that come with the program, for trying networks with."""

from importlib import resources

import cv2
import numpy as np

from realtime.frame import Image

_CLOSE = 0.6
"""Part of the picture's side that a closer view keeps."""


def face_crops() -> tuple[Image, ...]:
    """The built-in face as it is, closer and mirrored, and in little light.

    Returns:
        Three pictures ``(H, W, 3) u8 BGR``.
    """
    data = resources.files("realtime").joinpath("synthetic_face.jpg").read_bytes()
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if decoded is None:
        raise RuntimeError("synthetic_face.jpg of the package must be a picture")
    whole: Image = np.asarray(decoded, np.uint8)
    height, width = whole.shape[:2]
    top, left = round(height * (1 - _CLOSE) / 2), round(width * (1 - _CLOSE) / 2)
    mirrored = np.ascontiguousarray(whole[top : height - top, left : width - left][:, ::-1])
    return (whole, mirrored, whole // 4)
