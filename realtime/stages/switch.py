"""A stage in whose place another can be put while the engine runs."""

import threading

from realtime.frame import Frame, PictureSpec
from realtime.memory import Memory
from realtime.stage import Stage

HAND_OVER_S = 5.0
"""How long a replaced stage may take to be let go by the lane before it is left for later."""


class _Slot:
    """A stage, and the memory it was opened with where that is its own."""

    def __init__(self, stage: Stage, memory: Memory | None = None) -> None:
        self.stage = stage
        self._memory = memory

    def close(self) -> None:
        """Closes the stage, then lets its own memory go."""
        self.stage.close()
        if self._memory is not None:
            self._memory.close()


class Switch:
    """Runs one stage, and from some frame on another.

    The new stage is opened on the thread that asks for it, so the lane goes on meanwhile and
    changes over between two frames; no frame waits for a network to be loaded. ``open``,
    ``process`` and ``close`` are called as for any stage, ``replace`` from any other thread.
    """

    def __init__(self, stage: Stage) -> None:
        """Takes the first stage; it is opened with this one."""
        self._name = stage.name
        self._current = _Slot(stage)
        self._lock = threading.Lock()
        self._spec: PictureSpec | None = None
        # Written under the lock: by ``replace``, and by the lane when it changes over.
        self._next: _Slot | None = None
        self._retired: list[_Slot] = []
        self._changed = threading.Event()
        self._num_changes = 0

    @property
    def name(self) -> str:
        """The first stage's name in the statistics; it stays."""
        return self._name

    @property
    def stage(self) -> Stage:
        """The stage that works, or will from the next frame on."""
        with self._lock:
            return (self._next or self._current).stage

    def open(self, spec: PictureSpec, memory: Memory) -> None:
        """Opens the first stage."""
        self._current.stage.open(spec, memory)
        with self._lock:
            self._spec = spec

    def process(self, frame: Frame) -> None:
        """Changes over if there is a new stage, and lets the present one work."""
        has_changed = self._next is not None and self._change_over()
        try:
            self._current.stage.process(frame)
        finally:
            # Only now, so that closing the old stage does not hold up the first frame of the new.
            if has_changed:
                self._changed.set()
        for face in frame.faces:
            if face.layer is not None:
                face.layer.origin = self._num_changes

    def close(self) -> None:
        """Closes every stage that is still open."""
        with self._lock:
            slots = [*self._retired, self._current, *([self._next] if self._next else [])]
            self._retired, self._next, self._spec = [], None, None
        self._changed.set()
        for slot in slots:
            slot.close()

    def replace(self, stage: Stage, *, wait_s: float = HAND_OVER_S) -> None:
        """Puts another stage in this one's place, from the next frame on.

        Before the engine runs, the other one simply becomes the first. Afterwards it is opened
        here; if that fails the old one goes on. Then the old one is closed here as soon as the
        lane has let go of it, or with the next change or the end of the run.

        Args:
            stage: not open yet.
            wait_s: longest wait for the lane; a camera that gives no picture lets nothing go.

        Raises:
            RtSwapError, ModelError: the new stage cannot be opened.
        """
        with self._lock:
            spec = self._spec
            if spec is None:
                self._current = _Slot(stage)
                return
        memory = Memory()
        slot = _Slot(stage, memory)
        stage.open(spec, memory)
        with self._lock:
            # The run may have ended while the network was loaded.
            refused = slot if self._spec is None else self._next
            if self._spec is not None:
                self._next = slot
                self._changed.clear()
        if refused is not None:
            refused.close()
        if refused is not slot:
            self._changed.wait(wait_s)
            self._close_retired()

    def _change_over(self) -> bool:
        """Puts the next stage in the place of the present one, if there still is a next one."""
        with self._lock:
            if self._next is None:
                return False
            self._retired.append(self._current)
            self._current, self._next = self._next, None
        self._num_changes += 1
        return True

    def _close_retired(self) -> None:
        with self._lock:
            retired, self._retired = self._retired, []
        for slot in retired:
            slot.close()
