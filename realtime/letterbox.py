"""Fitting a picture of any size into a fixed size with black bars; pure.

From picture to picture; ``cuda_kernels.letterbox`` fills a network's input.
"""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.frame import Face, Frame, Image


def fitted_size(width: int, height: int, box_width: int, box_height: int) -> tuple[int, int]:
    """Says how large a picture becomes when it is fitted into a box, keeping its shape.

    Args:
        width: of the picture, in pixels, at least 1.
        height: of the picture, in pixels, at least 1.
        box_width: of the box, in pixels, at least 1.
        box_height: of the box, in pixels, at least 1.

    Returns:
        Width and height in pixels, each at least 1; one of them is that of the box.
    """
    if width * box_height >= height * box_width:
        return box_width, max(1, (height * box_width + width // 2) // width)
    return max(1, (width * box_height + height // 2) // height), box_height


def letterbox(image: Image, *, out: Image) -> None:
    """Fits a picture into another one's size, centred, with black bars.

    A picture that already has the size is copied as it is. Shrinking averages over areas, so fine
    patterns do not flicker; enlarging interpolates linearly.

    Args:
        image: ``(h, w, 3) u8 BGR``, at least one pixel.
        out: ``(H, W, 3) u8 BGR``, written whole.
    """
    height, width = image.shape[:2]
    out_height, out_width = out.shape[:2]
    if (height, width) == (out_height, out_width):
        out[...] = image
        return
    fit_width, fit_height = fitted_size(width, height, out_width, out_height)
    left, top = (out_width - fit_width) // 2, (out_height - fit_height) // 2
    shrinking = fit_width < width or fit_height < height
    how = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    out[:top] = 0
    out[top + fit_height :] = 0
    out[top : top + fit_height, :left] = 0
    out[top : top + fit_height, left + fit_width :] = 0
    # The inner part is a strided view, which cv2 would not write through: it copies on the way in.
    out[top : top + fit_height, left : left + fit_width] = cv2.resize(
        image, (fit_width, fit_height), interpolation=how
    )


def letterbox_frame(frame: Frame, *, out: Frame) -> None:
    """Fits a frame's picture into another frame's, and moves what is known of it along.

    Args:
        frame: left as it is.
        out: its picture is written whole; its faces get their places there, without what only
            the stages before the outputs need.
    """
    letterbox(frame.image, out=out.image)
    out.seq, out.captured_ns, out.media_ns = frame.seq, frame.captured_ns, frame.media_ns
    out.failed = frame.failed
    height, width = frame.image.shape[:2]
    out_height, out_width = out.image.shape[:2]
    fit_width, fit_height = fitted_size(width, height, out_width, out_height)
    scale = np.array([fit_width / width, fit_height / height], np.float32)
    corner = np.array([(out_width - fit_width) // 2, (out_height - fit_height) // 2], np.float32)
    # Places count from the middle of the first pixel.
    shift = np.asarray((scale - 1) / 2 + corner, np.float32)
    out.faces = [_moved(face, scale, shift) for face in frame.faces]


def _moved(face: Face, scale: NDArray[np.float32], shift: NDArray[np.float32]) -> Face:
    landmarks = face.landmarks * np.append(scale, scale[0])[: face.landmarks.shape[1]]
    landmarks[:, :2] += shift
    box = (face.box.reshape(2, 2) * scale + shift).reshape(4)
    return replace(face, box=box, landmarks=landmarks, motion=None, occluder=None, layer=None)
