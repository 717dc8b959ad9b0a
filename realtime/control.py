"""Changes what is put in while the engine runs: the face, or the network that draws it."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from engines.models.library import ModelLibrary
from realtime.aside import call_aside
from realtime.config import Config
from realtime.consent import ConsentKind
from realtime.errors import UsageError
from realtime.job import FaceChoice
from realtime.marking import has_built_in, kinds_of
from realtime.provenance.seal import Seal
from realtime.refiners import refines
from realtime.stages.neural_swap import NeuralSwap, Source
from realtime.stages.refine import Refine
from realtime.stages.swap import MeshSwap
from realtime.stages.switch import Switch
from realtime.swappers import make_swapper, needed_models, prepare_swapper

SeeConsent = Callable[[Sequence[Path], ConsentKind | None], Mapping[str, ConsentKind]]
"""Makes sure that faces may be used, given what was said of them, or raises ``ConsentError``;
returns the kind of consent by SHA-256 of the picture."""


class SwapControl:
    """The handle on a running swap. Calls may come from any thread, one at a time.

    Pictures are read in a process of its own and networks loaded on the caller's thread; the
    engine goes on meanwhile and changes over between two frames. If anything fails, all stays as
    it was.
    """

    def __init__(
        self,
        switch: Switch,
        refine: Refine | None,
        people: Sequence[Sequence[FaceChoice]],
        config: Config,
        library: ModelLibrary,
        connections: str,
        see_consent: SeeConsent,
        seal: Seal | None,
        changing: threading.Event,
    ) -> None:
        """Takes what is running.

        Args:
            switch: the place of the swap stage.
            refine: the stage of FuseNet; None where there is none.
            people: pictures of everybody who goes in now.
            config: names the swapper.
            library: has its networks.
            connections: text of the landmark model's list of connections.
            see_consent: asked before a new face is used.
            seal: says of the file that is written which faces and networks were used; None where
                nothing says so.
            changing: is set while a call works.
        """
        self._switch = switch
        self._refine = refine
        self._people = tuple(tuple(pictures) for pictures in people)
        self._config = config
        self._library = library
        self._connections = connections
        self._see_consent = see_consent
        self._seal = seal
        self._changing = changing

    @property
    def swapper(self) -> str:
        """Name of the swapper that works."""
        return self._config.swapper

    def change_faces(
        self, people: Sequence[Sequence[FaceChoice]], *, consent: ConsentKind | None = None
    ) -> None:
        """Gives other faces, from the next frame on.

        Args:
            people: pictures of as many people as there are; no picture for the built-in face.
            consent: why these faces may be used; None where that has been recorded before.

        Raises:
            UsageError: there are more or fewer people than before.
            ConsentError: nobody says that a face may be used.
            ContentError: the operator's filter refuses a picture.
            MediaError, ModelError: a picture or network cannot be used.
        """
        if len(people) != len(self._people):
            raise UsageError(
                f"faces: must be given for {len(self._people)} people as before, got "
                f"{len(people)}. Start again with another --map."
            )
        kinds = self._see_consent([face.path for person in people for face in person], consent)
        given = tuple(tuple(pictures) for pictures in people)
        stage = self._switch.stage
        with self._at_work(), self._noting(kinds_of(kinds), {}, built_in=has_built_in(people)):
            if isinstance(stage, NeuralSwap):
                # The network stays; only what it is told of the people changes.
                sources = self._prepare(given, self._config)
                if not isinstance(sources, tuple):
                    raise TypeError("SwapControl: a network must be told vectors or pictures.")
                stage.give(sources)
                self._people = given
            else:
                self._change(given, self._config)

    def change_swapper(self, name: str) -> None:
        """Draws with another network, or with none, from the next frame on.

        Args:
            name: ``mesh``, ``fusenet``, or a swapping network of the library.

        Raises:
            ConfigError: there is no such swapper.
            MediaError, ModelError: a picture or network cannot be used.
        """
        config = self._config.model_copy(update={"swapper": name})
        models = {
            model: self._library.sha256(model) for model in needed_models(config, self._library)
        }
        with self._at_work(), self._noting({}, models):
            self._change(self._people, config)

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Says for as long as the block lasts that something is being changed."""
        self._changing.set()
        try:
            yield
        finally:
            self._changing.clear()

    def _noting(
        self, faces: Mapping[str, str], models: Mapping[str, str], *, built_in: bool = False
    ) -> AbstractContextManager[None]:
        """Writes down what is used besides what the run began with; not if the block fails."""
        if self._seal is None:
            return nullcontext()
        return self._seal.extended(faces, models, built_in=built_in)

    def _change(self, people: tuple[tuple[FaceChoice, ...], ...], config: Config) -> None:
        prepared = self._prepare(people, config)
        if isinstance(prepared, tuple):
            stage = make_swapper(prepared, config, self._library, self._connections)
        else:
            stage = prepared
        # What can fail comes first, so that all stays as it was then.
        if self._refine is not None and refines(config):
            self._refine.load()
        self._switch.replace(stage)
        if self._refine is not None:
            self._refine.turn(refines(config))
        self._people, self._config = people, config

    def _prepare(
        self, people: tuple[tuple[FaceChoice, ...], ...], config: Config
    ) -> MeshSwap | tuple[Source, ...]:
        """What can be made of the people's pictures; none of the work is done in this process."""
        place = self._library.place
        return call_aside(prepare_swapper, people, config, place, self._connections)
