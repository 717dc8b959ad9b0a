"""Moving pictures that look a little like what cameras see: soft shapes, texture, noise."""

import io
from collections.abc import Sequence

import av
import cv2
import numpy as np


def film(num_pictures, size=(640, 360), seed=0):
    """Pictures ``(H, W, 3) u8`` of a scene that drifts by two pixels each."""
    rng = np.random.default_rng(seed)
    width, height = size
    wide = width + 2 * num_pictures
    scene = np.full((height, wide, 3), 110.0)
    for cells, strength in ((6, 60), (24, 25), (120, 10)):
        shape = (max(2, cells * height // wide), cells, 3)
        coarse = rng.normal(0, strength, shape).astype(np.float32)
        scene += cv2.resize(coarse, (wide, height), interpolation=cv2.INTER_CUBIC)
    return [
        np.clip(
            scene[:, 2 * n : 2 * n + width] + rng.normal(0, 1.5, (height, width, 3)), 0, 255
        ).astype(np.uint8)
        for n in range(num_pictures)
    ]


def encoded(pictures: Sequence[np.ndarray], crf: int):
    """The pictures after H.264."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        options = {"crf": str(crf), "preset": "veryfast"}
        stream = container.add_stream("libx264", rate=30, options=options)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
    buffer.seek(0)
    with av.open(buffer) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
