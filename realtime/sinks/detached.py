"""A sink on a thread of its own, so that its slow moments hold nobody back."""

import logging
import queue
import threading
from dataclasses import dataclass

import numpy as np

from realtime.errors import SinkError
from realtime.frame import Image, PictureSpec
from realtime.stage import Sink

NUM_SLOTS = 8
"""Pictures that may wait: a quarter of a second at 30 Hz, 22 MB at 720p."""

CLOSE_S = 2.0
"""How long the pictures that wait may take once no more come."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Slot:
    """A picture that waits.

    Attributes:
        image: ``(H, W, 3) u8 BGR``, its own copy.
        media_ns: when it belongs.
    """

    image: Image
    media_ns: int = 0


class Detached:
    """Hands pictures to another sink on a thread of its own.

    A picture for which there is no room is left out there, counted, and said once; what the other
    sink raises comes out of the next ``send``, or of ``close``.

    Args:
        sink: opened and closed by this one.
        name: what messages call it.
    """

    def __init__(self, sink: Sink, *, name: str) -> None:
        self._sink = sink
        self._name = name
        self._free: queue.SimpleQueue[_Slot] = queue.SimpleQueue()
        self._waiting: queue.SimpleQueue[_Slot | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None
        self.num_left_out = 0

    def open(self, spec: PictureSpec) -> None:
        """Opens the other sink and starts the thread.

        Raises:
            SinkError: from the other sink.
        """
        self._sink.open(spec)
        for _ in range(NUM_SLOTS):
            self._free.put(_Slot(np.zeros((spec.height, spec.width, 3), np.uint8)))
        self._thread = threading.Thread(target=self._run, name=f"rt-swap {self._name}", daemon=True)
        self._thread.start()

    def send(self, image: Image, media_ns: int) -> None:
        """Copies the picture for the other sink; never waits.

        Raises:
            SinkError: from the other sink, about an earlier picture.
        """
        self._raise_error()
        try:
            slot = self._free.get_nowait()
        except queue.Empty:
            if self.num_left_out == 0:
                _log.warning("%s: too slow, pictures are left out of it.", self._name)
            self.num_left_out += 1
            return
        slot.image[...] = image
        slot.media_ns = media_ns
        self._waiting.put(slot)

    def close(self) -> None:
        """Waits for the pictures that are left, then closes the other sink.

        Raises:
            SinkError: from the other sink, or it does not come back.
        """
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._waiting.put(None)
        thread.join(CLOSE_S)
        if thread.is_alive():
            # Closed under its hands a file would be damaged; left alone it is only unfinished.
            raise SinkError(
                f"{self._name}: must come to its end within {CLOSE_S:g} s, got no answer. It is "
                "left unfinished; check the disk."
            )
        if self.num_left_out:
            _log.info("%s: %d pictures left out.", self._name, self.num_left_out)
        self._sink.close()
        self._raise_error()

    def _run(self) -> None:
        try:
            while (slot := self._waiting.get()) is not None:
                self._sink.send(slot.image, slot.media_ns)
                self._free.put(slot)
        # The root of a thread: the sender's thread raises it.
        except Exception as error:
            self._error = error

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error
