"""A network that runs in two halves, so that its features can be worked on in between."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Final

import numpy as np

from engines.errors import ModelError
from engines.session import Array, Buffer, Place, Session, TensorSpec

Work = Callable[[Array], None]
"""Changes the features ``(n, c, h, w)`` of one run in place."""

OpenHalf = Callable[[bytes, str], Session]
"""Opens one half, given its ONNX model and what it is to be called."""


@dataclass(frozen=True, slots=True)
class Split:
    """A network in two halves.

    Attributes:
        encoder: serialised model from the network's inputs to the features, and to whatever else
            the decoder takes from it; ``tensor`` is its first output.
        decoder: serialised model from those, and those of the network's inputs that it still
            needs, to the network's outputs; ``tensor`` is its first input. An output that does
            not depend on the features is the encoder's instead.
        tensor: name of the features, ``(n, c, h, w)``.
        crossing: names of the other tensors that pass from one half to the other.
        shape: of the features; -1 where it varies.
        inputs, outputs: names of the network's own, in graph order.
    """

    encoder: bytes
    decoder: bytes
    tensor: str
    crossing: tuple[str, ...]
    shape: tuple[int, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def open_split(
    halves: Split, open_half: OpenHalf, *, most_px: int, name: str = "model"
) -> "SplitSession":
    """Opens both halves of a network.

    Args:
        halves: the network in two.
        open_half: opens each of them; both in main memory.
        most_px: longest side that the features may have.
        name: what error messages call the network.

    Raises:
        ModelError: the features are no maps of known size or larger ones, or a half cannot be
            opened.
    """
    if len(halves.shape) != 4 or not min(halves.shape[1:]) > 0 or max(halves.shape[2:]) > most_px:
        raise ModelError(
            f"{name}: its features must be maps of at most {most_px} x {most_px} pixels, got "
            f"{halves.shape}. Run it whole."
        )
    with ExitStack() as opening:
        encoder = opening.enter_context(closing(open_half(halves.encoder, f"{name}, first half")))
        decoder = opening.enter_context(closing(open_half(halves.decoder, f"{name}, second half")))
        session = SplitSession(encoder, decoder, halves, name=name)
        opening.pop_all()
        return session


class SplitSession:
    """Two sessions that take and give what the whole network did.

    The features and whatever else passes from one half to the other lie in buffers of its own,
    taken once. One thread at a time.

    Attributes:
        inputs, outputs, place: see ``Session``.
    """

    def __init__(
        self, encoder: Session, decoder: Session, halves: Split, *, name: str = "model"
    ) -> None:
        """Takes both halves, which are closed with this session.

        Args:
            encoder, decoder: the halves, opened in main memory.
            halves: what they were made of.
            name: what error messages call the network.

        Raises:
            ModelError: they lie on a GPU, or the size of something that passes between them is
                not known before a run.
        """
        if (encoder.place, decoder.place) != ("cpu", "cpu"):
            raise ModelError(
                f"{name}: both halves must take arrays of main memory, got {encoder.place} and "
                f"{decoder.place}. Run it whole."
            )
        self._name = name
        self._encoder, self._decoder = encoder, decoder
        self.place: Final[Place] = "cpu"
        first = {spec.name: spec for spec in (*encoder.inputs, *encoder.outputs)}
        known = first | {spec.name: spec for spec in (*decoder.inputs, *decoder.outputs)}
        self.inputs: Final = tuple(known[one] for one in halves.inputs if one in known)
        self.outputs: Final = tuple(known[one] for one in halves.outputs)
        self._passing = {
            one: np.zeros(_size(first[one], name), first[one].dtype)
            for one in (halves.tensor, *halves.crossing)
        }
        self._features = self._passing[halves.tensor]
        self._work: Work | None = None

    @property
    def provider(self) -> str:
        """What really runs the halves at the moment."""
        names = dict.fromkeys((self._encoder.provider, self._decoder.provider))
        return " and ".join(names)

    @property
    def features_shape(self) -> tuple[int, ...]:
        """Shape of what is worked on, ``(n, c, h, w)``."""
        return tuple(self._features.shape)

    def work_on_features(self, work: Work | None) -> None:
        """Says what is done between the halves in the runs from now on.

        Args:
            work: changes the features; None leaves them, and the halves compute what the whole
                network does.
        """
        self._work = work

    def enqueue(
        self, inputs: Mapping[str, Buffer], *, out: Mapping[str, Buffer], stream: int
    ) -> None:
        """Runs one half, the work on the features, and the other half.

        Args:
            inputs: C-contiguous arrays by input name, of the session's shapes and dtypes.
            out: C-contiguous arrays by output name that are written; every output is needed.
            stream: 0; there are no streams on a CPU.

        Raises:
            ModelError: an array is missing or does not fit, or a run fails.
        """
        known = {**inputs, **self._passing}
        self._encoder.enqueue(
            _named(known, self._encoder.inputs),
            out=_named({**out, **self._passing}, self._encoder.outputs),
            stream=stream,
        )
        for name, array in self._passing.items():
            wanted = out.get(name)
            if isinstance(wanted, np.ndarray):
                np.copyto(wanted, array)
        if self._work is not None:
            self._work(self._features)
        self._decoder.enqueue(
            _named(known, self._decoder.inputs),
            out=_named(out, self._decoder.outputs),
            stream=stream,
        )

    def close(self) -> None:
        """Frees both halves; closing twice is fine."""
        self._encoder.close()
        self._decoder.close()


def _named(arrays: Mapping[str, Buffer], specs: tuple[TensorSpec, ...]) -> dict[str, Buffer]:
    """Those of the arrays that a half knows; it says itself what is missing."""
    return {spec.name: arrays[spec.name] for spec in specs if spec.name in arrays}


def _size(spec: TensorSpec, name: str) -> tuple[int, ...]:
    """The shape of a tensor between the halves; an open batch is one picture.

    Raises:
        ModelError: it depends on more than that.
    """
    shape = tuple(
        1 if axis == 0 and extent < 0 else extent for axis, extent in enumerate(spec.shape)
    )
    if min(shape, default=1) < 0:
        raise ModelError(
            f"{name}: the size of {spec.name} must be known to run the network in two halves, "
            f"got {spec.shape}. Run it whole."
        )
    return shape
