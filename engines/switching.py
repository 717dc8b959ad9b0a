"""A session that begins with what is there and goes over to something better once that is ready."""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import TypeGuard

import numpy as np

from engines.buffers import matches
from engines.errors import ModelError
from engines.session import Array, Buffer, Place, Session, TensorSpec

IsWanted = Callable[[], bool]
Prepare = Callable[[IsWanted], Session]
"""Makes the better session, which may take minutes; asks now and then whether to go on."""

Say = Callable[[str], None]
"""Told in one line where a network runs; from any thread."""

_LOG = logging.getLogger(__name__)
_JOIN_S = 2.0


class SwitchingSession:
    """Runs the first session until a better one is ready, then that one.

    The change happens between two runs and takes no time there: the better one has run once before
    on arrays like the caller's, in the thread that made it, and that thread closes the first one
    afterwards. If the better one cannot be made, or does not take and give the same, the first
    stays and the log says why, once.
    """

    def __init__(
        self, first: Session, prepare: Prepare, *, name: str = "model", say: Say = _LOG.info
    ) -> None:
        """Starts preparing in a thread of its own.

        Args:
            first: what runs meanwhile; belongs to this session from now on.
            prepare: called once, in that thread. Its ``ModelError`` keeps the first.
            name: what messages call the network.
            say: told when the better one runs; on the thread that runs the network.
        """
        self._name = name
        self._say = say
        self._current = first
        self._former: Session | None = None
        self._ready: Session | None = None
        self._last: tuple[Mapping[str, Buffer], Mapping[str, Buffer]] | None = None
        self._is_wanted = True
        self._fault = ""
        self._prepared, self._let_go = threading.Event(), threading.Event()
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
            self._former, self._current, self._ready = self._current, self._ready, None
            self._let_go.set()
            self._say(f"{self._name}: now runs in {self._current.provider}")
        self._last = (inputs, out)
        self._current.enqueue(inputs, out=out, stream=stream)

    def wait_until_ready(self, timeout_s: float | None = None) -> bool:
        """Waits until the better session is there or has failed.

        Returns:
            False if that did not happen in time.
        """
        return self._prepared.wait(timeout_s)

    def wait_until_settled(self, timeout_s: float | None = None) -> bool:
        """Waits until no change is to come any more, and nothing of one is left to be done.

        Returns:
            False if that did not happen in time.
        """
        self._thread.join(timeout_s)
        return self.is_settled

    def close(self) -> None:
        """Stops the preparation and frees both sessions; closing twice is fine."""
        self._is_wanted = False
        self._let_go.set()
        self._thread.join(_JOIN_S)
        if self._ready is not None:
            self._ready.close()
            self._ready = None
        self._current.close()

    def _prepare(self, prepare: Prepare) -> None:
        """What the thread does: makes the better session, and lets go of the first one."""
        self._make_ready(prepare)
        self._prepared.set()
        # Where the other thread has taken it already, it has put the former one here before.
        if self._ready is not None:
            self._let_go.wait()
        # Freeing hundreds of megabytes takes longer than a frame.
        if self._former is not None:
            self._former.close()

    def _make_ready(self, prepare: Prepare) -> None:
        try:
            better = prepare(lambda: self._is_wanted)
            fault = _difference(self._current, better) or _trouble(better, self._last)
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


def _trouble(
    session: Session, last: tuple[Mapping[str, Buffer], Mapping[str, Buffer]] | None
) -> str:
    """Lets a session compile and take what it needs for arrays like the last ones.

    Only in main memory: elsewhere there is nothing here to make such arrays with.

    Returns:
        Why it cannot run; empty if it can.
    """
    if last is None or session.place != "cpu":
        return ""
    given, wanted = (
        {name: np.zeros_like(array) for name, array in arrays.items() if _is_host(array)}
        for arrays in last
    )
    try:
        session.enqueue(given, out=wanted, stream=0)
    except ModelError as error:
        return str(error)
    return ""


def _is_host(array: Buffer) -> TypeGuard[Array]:
    return isinstance(array, np.ndarray)


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
