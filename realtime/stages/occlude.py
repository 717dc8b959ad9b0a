"""Finds what stands in front of a face, so that it stays in front of the new one.

Hands are found by networks and followed. Other things are told by their colour from how this
person's face usually looks: at once where a hand holds them, else only when the face was seen
clean before, the thing reaches in from outside, and it stays for a moment. In doubt nothing is in
front: what is painted over by mistake looks odd, what is let through shows the face that was to be
hidden.
"""

from collections.abc import Callable
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from engines.models.hand_finder import open_hand_finder
from engines.session import Session
from realtime.afterwards import Afterwards
from realtime.face_mesh import FaceMesh
from realtime.face_zones import FaceZones
from realtime.frame import FaceState, Frame, PictureSpec
from realtime.hand_watch import HandWatch
from realtime.memory import Memory
from realtime.occluder_finder import OccluderFinder, OccluderMemory
from realtime.skin_light import SkinLight
from realtime.tracks import of_recent


class OccludeConfig(BaseModel, frozen=True, extra="forbid"):
    """What is kept in front of faces.

    Attributes:
        enabled: False paints over everything.
        hands: look for hands.
        objects: look for other things.
        mask_px: side of the mask, which spans one and a half times the face.
        search_ms: how often new hands are searched for.
        min_hand: probability the landmark network must give a hand.
        network: a network that says which pixels are face; all others stay in front. None for
            none.
        network_ms: how often it is asked.
    """

    enabled: bool = True
    hands: bool = True
    objects: bool = True
    mask_px: int = Field(160, ge=64, le=512, multiple_of=2)
    search_ms: float = Field(700.0, ge=30.0, le=5000.0)
    min_hand: float = Field(0.5, gt=0.0, lt=1.0)
    network: str | None = None
    network_ms: float = Field(250.0, ge=0.0, le=5000.0)


class Occlude:
    """Sets ``Face.occluder`` of every face that is to be swapped. Time is ``Frame.media_ns``."""

    def __init__(
        self,
        config: OccludeConfig,
        open_session: Callable[[str], Session],
        mesh: FaceMesh,
        zones: FaceZones,
        light: SkinLight,
    ) -> None:
        """Takes its settings; nothing is loaded before ``open``.

        Args:
            config: settings.
            open_session: loads a network of the catalogue by name; the stage closes it.
            mesh, zones, light: of the face.
        """
        self._config = config
        self._open_session = open_session
        self._mesh, self._zones, self._light = mesh, zones, light
        self._opened = ExitStack()
        self._watch: HandWatch | None = None
        self._aside: Afterwards | None = None
        self._finder: OccluderFinder | None = None
        self._memories: dict[int, OccluderMemory] = {}
        self._last_ns: int | None = None

    @property
    def name(self) -> str:
        """``occlude``."""
        return "occlude"

    def open(self, spec: PictureSpec, memory: Memory) -> None:  # noqa: ARG002
        """Loads the networks and takes the scratch.

        Raises:
            ModelError: a network is missing or unusable.
        """
        config = self._config
        self._memories.clear()
        self._last_ns = None
        self._finder = OccluderFinder(
            self._mesh,
            self._zones,
            self._light,
            mask_px=config.mask_px,
            objects=config.objects,
            memory=memory,
        )
        if config.hands:
            hands = self._opened.enter_context(open_hand_finder(self._open_session))
            aside = self._opened.enter_context(Afterwards("hands"))
            self._aside = aside
            self._watch = HandWatch(
                hands, search_ms=config.search_ms, min_score=config.min_hand, aside=aside
            )

    def process(self, frame: Frame) -> None:
        """Sets the occluder of each seen, chosen face; None where nothing stands in front."""
        finder = self._finder
        if finder is None:
            raise RuntimeError("occlude: open must be called before process.")
        self._forget(frame.media_ns)
        # Where nobody lets the stage rest the search begins now.
        self.rest()
        faces = [face for face in frame.faces if face.state is FaceState.SEEN and face.chosen]
        hands: list[NDArray[np.float32]] = []
        if self._watch is not None:
            known = [self._memories.get(face.track_id) for face in faces]
            alarmed = any(memory is not None and memory.alarmed for memory in known)
            hands = self._watch.update(frame.image, frame.media_ns, faces, alarmed=alarmed)
        for face in faces:
            memory = self._memories.get(face.track_id)
            if memory is None:
                memory = self._memories[face.track_id] = finder.remember(frame.media_ns)
            face.occluder = finder.find(frame.image, face, hands, memory, frame.media_ns)

    def rest(self) -> None:
        """Has the search that a frame asked for begin."""
        if self._aside is not None:
            self._aside.begin()

    def close(self) -> None:
        """Lets the networks go and forgets all faces."""
        self._watch = self._finder = self._aside = None
        self._memories.clear()
        self._opened.close()

    def _forget(self, now_ns: int) -> None:
        """Drops faces that have not been seen for a while, and everything when time jumps."""
        if self._last_ns is not None and now_ns < self._last_ns:
            self._memories.clear()
            if self._watch is not None:
                self._watch.reset()
        self._last_ns = now_ns
        self._memories = of_recent(self._memories, now_ns)
