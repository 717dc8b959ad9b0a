"""Scripted sources, stages and sinks. Each picture carries its number in its first pixel."""

import threading
from fractions import Fraction

import numpy as np

from realtime.frame import Face, PictureSpec, Pose

PERIOD_NS = 10_000_000
RAW = np.array([255, 0], np.uint8)
"""Columns of a raw picture: stripes that only an untouched picture can show."""

SWAPPED = 100


def number_of(image):
    """The number a picture carries."""
    return int(image[0, 0, 0]) + 256 * int(image[0, 0, 1])


class ScriptedSource:
    """Gives so many raw pictures, with an action before each of them.

    Args:
        num_pictures: then it ends.
        actions: by number of the call to ``fill``: raised if an exception, else called.
    """

    def __init__(self, num_pictures, *, live=False, size=(128, 72), rate_hz=100, actions=None):
        self.spec = PictureSpec(*size, Fraction(rate_hz), live, None if live else num_pictures)
        self.num_pictures = num_pictures
        self.actions = actions or {}
        self.num_calls = 0
        self.closed = threading.Event()
        self.num_closed = 0

    def open(self):
        return self.spec

    def fill(self, image):
        call = self.num_calls
        self.num_calls += 1
        action = self.actions.get(call)
        if isinstance(action, Exception):
            raise action
        if action is not None:
            action()
        if call >= self.num_pictures:
            return None
        image[:] = np.resize(RAW, image.shape[1])[:, None]
        image[0, 0, :2] = call % 256, call // 256
        return call * PERIOD_NS

    def close(self):
        self.num_closed += 1
        self.closed.set()


class Swap:
    """Paints over the raw face; an action may come before that.

    Args:
        actions: by number of the picture: raised if an exception, else called.
        always: an action for every picture.
    """

    def __init__(self, *, name="swap", actions=None, always=None):
        self._name = name
        self.actions = actions or {}
        self.always = always
        self.seen = []
        self.num_opened = self.num_closed = 0

    @property
    def name(self):
        return self._name

    def open(self, spec, memory):
        self.num_opened += 1

    def process(self, frame):
        number = number_of(frame.image)
        self.seen.append(frame.seq)
        action = self.actions.get(number, self.always)
        if isinstance(action, Exception):
            raise action
        if action is not None:
            action()
        frame.image[1:] = SWAPPED
        frame.image[0, 1:] = SWAPPED
        frame.faces = [
            Face(
                track_id=1,
                box=np.array([4, 4, 12, 12], np.float32),
                landmarks=np.zeros((468, 3), np.float32),
                score=0.9,
                pose=Pose(0, 0, 0),
                swapped=True,
            )
        ]

    def close(self):
        self.num_closed += 1


class RecordingSink:
    """Keeps what it is shown.

    Args:
        actions: by number of the call to ``send``: raised if an exception, else called.
    """

    def __init__(self, *, actions=None):
        self.actions = actions or {}
        self.spec = None
        self.pictures = []
        self.media_ns = []
        self.num_closed = 0

    def open(self, spec):
        self.spec = spec

    def send(self, image, media_ns):
        action = self.actions.get(len(self.pictures))
        self.pictures.append(image.copy())
        self.media_ns.append(media_ns)
        if isinstance(action, Exception):
            raise action
        if action is not None:
            action()

    def close(self):
        self.num_closed += 1

    @property
    def swapped_numbers(self):
        """Numbers of the pictures that came through whole, in order."""
        return [number_of(picture) for picture in self.pictures if picture[-1, -1, 0] == SWAPPED]

    @property
    def leaked(self):
        """Whether any picture shows stripes."""
        steps = (np.abs(np.diff(picture[1:].astype(int), axis=1)) for picture in self.pictures)
        return any(step.max() > 200 for step in steps)
