from fractions import Fraction

import numpy as np

from realtime.frame import PictureSpec
from realtime.sinks.null import Null
from realtime.stage import Sink


def test_every_picture_is_taken_and_left_as_it_is() -> None:
    sink = Null()
    assert isinstance(sink, Sink)
    sink.open(PictureSpec(4, 3, Fraction(30), live=False))
    image = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    for media_ns in range(3):
        sink.send(image, media_ns)
    sink.close()
    assert (image.ravel() == np.arange(36)).all()
