"""The stage that lays the swapped faces over the picture."""

from cuda_kernels.paste import paste
from realtime.frame import Frame, PictureSpec
from realtime.hidden_parts import MOST_HIDDEN, in_front, share_hidden
from realtime.memory import Memory


class Composite:
    """Lays each face's layer over the picture, the farthest first.

    What stands in front of a face stays in front. A face counts as swapped from here on, but not
    one most of which is hidden, so that the guard covers it.
    """

    @property
    def name(self) -> str:
        """``composite``."""
        return "composite"

    def open(self, spec: PictureSpec, memory: Memory) -> None:
        """Needs nothing."""

    def process(self, frame: Frame) -> None:
        """Writes into the picture."""
        for face in reversed(frame.faces):
            if face.layer is not None and share_hidden(face) <= MOST_HIDDEN:
                alpha = face.layer.alpha
                if face.occluder is not None:
                    alpha = in_front(face.layer, face.occluder)
                paste(face.layer.face, alpha, face.layer.crop_from_image, out=frame.image)
                face.swapped = True

    def close(self) -> None:
        """Holds nothing."""
