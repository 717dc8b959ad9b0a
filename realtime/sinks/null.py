"""A sink that throws every picture away, to measure the engine alone."""

from realtime.frame import Image, PictureSpec


class Null:
    """Takes every picture and keeps none."""

    def open(self, spec: PictureSpec) -> None:
        """Takes pictures of any size."""

    def send(self, image: Image, media_ns: int) -> None:
        """Throws the picture away."""

    def close(self) -> None:
        """Has nothing to finish."""
