"""The picture that is shown when there is none: one calm line of text on a dark ground."""

import cv2

from realtime.frame import Image

_GROUND_BGR = (38, 32, 28)
_TEXT_BGR = (205, 200, 196)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_TEXT_WIDTH = 0.6
_MAX_TEXT_HEIGHT = 0.06


def draw_slate(text: str, *, out: Image) -> None:
    """Draws a slate over the whole of a picture.

    Args:
        text: one short line of ASCII, such as ``No face in view``.
        out: ``(H, W, 3) u8 BGR``, any size; overwritten.
    """
    height, width = out.shape[:2]
    cv2.rectangle(out, (0, 0), (width, height), _GROUND_BGR, cv2.FILLED)
    (text_width, text_height), _ = cv2.getTextSize(text, _FONT, 1.0, 1)
    scale = min(
        _TEXT_WIDTH * width / max(text_width, 1), _MAX_TEXT_HEIGHT * height / max(text_height, 1)
    )
    thickness = max(1, round(scale * 1.2))
    origin = (round((width - scale * text_width) / 2), round((height + scale * text_height) / 2))
    cv2.putText(out, text, origin, _FONT, scale, _TEXT_BGR, thickness, cv2.LINE_AA)
