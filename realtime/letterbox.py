"""Fitting a picture of any size into a fixed size with black bars; pure."""

import cv2

from realtime.frame import Image


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
