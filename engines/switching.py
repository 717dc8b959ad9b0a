"""A session that begins with what is there and goes over to something better once that is ready."""

import logging
import threading
from collections.abc import Callable, Mapping

from engines.buffers import matches
from engines.errors import ModelError
from engines.session import Buffer, Place, Session, TensorSpec

IsWanted = Callable[[], bool]
Prepare = Callable[[IsWanted], Session]
"""Makes the better session, which may take minutes; asks now and then whether to go on."""

_LOG = logging.getLogger(__name__)
_JOIN_S = 2.0


class SwitchingSession:
    """Runs the first session until a better one is ready, then that one.

    The change happens between two runs; the callers notice nothing but the time they take. If the
    better one cannot be made, or does not take and give the same, the first stays and the log says
    why, once.
    """

    def __init__(self, first: Session, prepare: Prepare, *, name: str = "model") -> None:
        """Starts preparing in a thread of its own.

        Args:
            first: what runs meanwhile; belongs to this session from now on.
            prepare: called once, in that thread. Its ``ModelError`` keeps the first.
            name: what messages call the network.
        """
        self._name = name
        self._current = first
        self._ready: Session | None = None
        self._is_wanted = True
        self._fault = ""
        self._thread = threading.Thread(
            target=self._prepare, args=(prepare,), name=f"prepare {name}", daemon=True
        )
        self._thread.start()

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The network's inputs in graph order, as the session that runs now takes them."""
        return self._current.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The network's outputs in graph order."""
        return self._current.outputs

    @property
    def provider(self) -> str:
        """What really runs the network at this moment."""
        return self._current.provider

    @property
    def place(self) -> Place:
        """Where the buffers must lie; never changes."""
        return self._current.place

    @property
    def is_settled(self) -> bool:
        """Whether no change is to come any more."""
        return not self._thread.is_alive() and self._ready is None

    @property
    def fault(self) -> str:
        """Why there was no change; empty where there was one, or may still be."""
        return self._fault

    def enqueue(
        self, inputs: Mapping[str, Buffer], *, out: Mapping[str, Buffer], stream: int
    ) -> None:
        """Runs the network in whichever session is the best one ready; as ``Session.enqueue``."""
        # Only this thread takes what the other one puts here, so a look is enough.
        if self._ready is not None:
            former, self._current, self._ready = self._current, self._ready, None
            former.close()
            _LOG.info("%s: now runs in %s", self._name, self._current.provider)
        self._current.enqueue(inputs, out=out, stream=stream)

    def wait_until_ready(self, timeout_s: float | None = None) -> bool:
        """Waits until the better session is there or has failed.

        Returns:
            False if that did not happen in time.
        """
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def close(self) -> None:
        """Stops the preparation and frees both sessions; closing twice is fine."""
        self._is_wanted = False
        self._thread.join(_JOIN_S)
        if self._ready is not None:
            self._ready.close()
            self._ready = None
        self._current.close()

    def _prepare(self, prepare: Prepare) -> None:
        try:
            better = prepare(lambda: self._is_wanted)
            fault = _difference(self._current, better)
            if fault or not self._is_wanted:
                better.close()
            else:
                self._ready = better
        except ModelError as error:
            fault = str(error)
        except Exception as error:  # the root of a thread
            fault = f"{type(error).__name__}: {error}"
        if fault and self._is_wanted:
            self._fault = fault
            _LOG.warning("%s: stays in %s. %s", self._name, self._current.provider, fault)


def _difference(first: Session, better: Session) -> str:
    """Why one session cannot take the place of another; empty if it can."""
    if first.place != better.place:
        return f"Its buffers lie on {first.place}, those of {better.provider} on {better.place}."
    wanted = (*first.inputs, *first.outputs)
    got = {spec.name: spec for spec in (*better.inputs, *better.outputs)}
    for spec in wanted:
        other = got.get(spec.name)
        if other is None or other.dtype != spec.dtype or not matches(spec.shape, other.shape):
            return f"{spec.name} must be {spec}, got {other}."
    return ""
