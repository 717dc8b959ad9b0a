"""The one place that turns a serialised network into a session."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, Protocol

from engines.build import OnProgress
from engines.cache import PlanCache
from engines.choose import Seat, open_on_cpu, open_on_gpu, usable_on_gpu
from engines.errors import ModelError
from engines.gpu import compute_capability
from engines.profiles import USUAL_RANGES, Range
from engines.session import Array, Session
from engines.switching import Say

DeviceKind = Literal["auto", "cpu", "cuda"]


class OpenNetwork(Protocol):
    """Opens networks; the buffers of what it opens lie in main memory."""

    def __call__(
        self,
        model: bytes,
        *,
        threads: int,
        name: str,
        exact: bool,
        pixels: Sequence[Range] = USUAL_RANGES,
    ) -> Session:
        """Opens a network.

        Args:
            model: a serialised ONNX model.
            threads: CPU threads for one run.
            name: what messages call the network.
            exact: whether its numbers are needed in full, as points and vectors are; those of a
                picture are rounded to 256 levels anyhow.
            pixels: what it may take black and white as, for checks of a form in 16 bits.

        Raises:
            ModelError: the network cannot be opened.
        """
        ...


def open_exactly(
    model: bytes,
    *,
    threads: int,
    name: str,
    exact: bool = True,  # noqa: ARG001
    pixels: Sequence[Range] = USUAL_RANGES,  # noqa: ARG001
) -> Session:
    """Every network in ONNX Runtime on the processor, in its own precision."""
    # The runtime costs a noticeable part of a second to import.
    from engines.onnxruntime import OnnxRuntimeSession

    return OnnxRuntimeSession(model, threads=threads, name=name)


@dataclass(frozen=True, slots=True)
class BestOpener:
    """Opens networks where they run best on this machine, and says where that is.

    Those whose numbers are needed in full run in ONNX Runtime on the processor: they are small,
    and must give the same on every machine.

    Attributes:
        device: ``cpu``; ``cuda``, where nothing else will do; ``auto`` for the GPU where something
            runs networks there, else the processor.
        crops: gives pictures of faces, ``(h, w, 3) u8``, to check 16-bit forms with.
        say: told once for each network where it runs, and again when that changes.
        on_progress: told how far the build of a plan is, on a thread of its own.
        cache: where plans are kept.
    """

    device: DeviceKind
    crops: Callable[[], Sequence[Array]]
    say: Say
    on_progress: OnProgress = lambda _: None
    cache: PlanCache = field(default_factory=PlanCache)

    def __call__(
        self,
        model: bytes,
        *,
        threads: int,
        name: str,
        exact: bool,
        pixels: Sequence[Range] = USUAL_RANGES,
    ) -> Session:
        """Opens a network; see ``OpenNetwork``.

        Raises:
            ModelError: it cannot be opened, or not on the GPU where that is demanded.
        """
        if exact:
            return open_exactly(model, threads=threads, name=name)
        session = self._on_best(model, threads, name, pixels)
        self.say(f"{name}: runs in {session.provider}")
        return session

    def _on_best(self, model: bytes, threads: int, name: str, pixels: Sequence[Range]) -> Session:
        on_cpu = partial(open_on_cpu, threads=threads, name=name)
        if self.device == "cpu" or (self.device == "auto" and compute_capability() is None):
            return on_cpu(model)
        # onnx is slow to import, and only a GPU needs this.
        from engines.narrow import open_narrow

        try:
            return open_on_gpu(
                model,
                self.crops(),
                self.cache,
                Seat(meanwhile=partial(open_narrow, on_cpu, model, name=name)),
                name=name,
                pixels=pixels,
                on_progress=self.on_progress,
                say=self.say,
            )
        except ModelError as error:
            if self.device == "cuda":
                raise
            self.say(f"{name}: not on the GPU. {error}")
            return on_cpu(model)


@dataclass
class RetreatingOpener:
    """Opens networks in one way, and after a retreat in another; see ``OpenNetwork``.

    Attributes:
        first: opens them until then.
        then: opens them afterwards, for instance when the GPU has been lost.
        has_retreated: whether that has happened.
    """

    first: OpenNetwork
    then: OpenNetwork
    has_retreated: bool = False

    def retreat(self) -> None:
        """Opens everything in the other way from now on."""
        self.has_retreated = True

    def __call__(
        self,
        model: bytes,
        *,
        threads: int,
        name: str,
        exact: bool,
        pixels: Sequence[Range] = USUAL_RANGES,
    ) -> Session:
        """Opens a network; see ``OpenNetwork``.

        Raises:
            ModelError: it cannot be opened.
        """
        opener = self.then if self.has_retreated else self.first
        return opener(model, threads=threads, name=name, exact=exact, pixels=pixels)


def settled_device(kind: DeviceKind, name: str) -> Literal["cpu", "cuda"]:
    """The device that networks will run on.

    Args:
        kind: what is asked for.
        name: what the message calls that which is to run.

    Raises:
        ModelError: the GPU is demanded, and nothing runs networks on one here.
    """
    if kind == "cpu":
        return "cpu"
    try:
        usable_on_gpu(name)
    except ModelError:
        if kind == "cuda":
            raise
        return "cpu"
    return "cuda"
