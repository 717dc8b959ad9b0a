"""Which networks find faces and place their landmarks, by the names in the configuration."""

import difflib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial

from pydantic import BaseModel

from engines.families.detector import Detector
from engines.families.specs import BlazeFaceFamily, DetectorFamily, FaceMeshFamily
from engines.models.blazeface import BlazeFace
from engines.models.face_candidates import FaceDetector
from engines.models.face_finder import FaceFinder, open_face_finder
from engines.models.five_detector import FivePointDetector
from engines.models.library import ModelLibrary
from engines.session import Session
from realtime.config import Config
from realtime.errors import ConfigError
from realtime.stages.track import BLAZEFACE, TrackConfig

OpenFinder = Callable[[], AbstractContextManager[FaceFinder]]


def needed_detectors(config: Config, library: ModelLibrary) -> tuple[str, ...]:
    """Names of the networks that are needed beside the usual ones, for fetching them beforehand.

    Raises:
        ConfigError: a name stands for no such network.
    """
    detector, landmarks = config.track.detector, config.track.landmarks
    names = [] if detector == BLAZEFACE else [detector]
    if names:
        _expect(detector, library, "track.detector", DetectorFamily, BlazeFaceFamily)
    if landmarks != TrackConfig().landmarks:
        _expect(landmarks, library, "track.landmarks", FaceMeshFamily)
        names.append(landmarks)
    return tuple(names)


def finder_opener(
    config: Config, library: ModelLibrary, open_session: Callable[[str], Session]
) -> OpenFinder:
    """What opens the configured networks together, for as long as a block lasts.

    Args:
        config: names them.
        library: knows what they are.
        open_session: loads one by name.

    Raises:
        ConfigError: a name stands for no such network.
    """
    needed_detectors(config, library)
    name, landmarks = config.track.detector, config.track.landmarks
    if name == BLAZEFACE:
        return partial(open_face_finder, open_session, landmark=landmarks)
    family = library.family(name)

    @contextmanager
    def opened() -> Iterator[FaceFinder]:
        with closing(open_session(name)) as session:
            detector: FaceDetector = (
                FivePointDetector(Detector(session, family))
                if isinstance(family, DetectorFamily)
                else BlazeFace(session)
            )
            with open_face_finder(open_session, detector=detector, landmark=landmarks) as finder:
                yield finder

    return opened


def _expect(name: str, library: ModelLibrary, key: str, *kinds: type[BaseModel]) -> None:
    """Refuses a name that stands for no network of these kinds.

    Raises:
        ConfigError: it does not.
    """
    fitting = [
        one.name
        for one in library.list()
        if isinstance(library.families.get(one.entry.family), kinds)
    ]
    if name not in fitting:
        near = difflib.get_close_matches(name, (BLAZEFACE, *fitting), n=1)
        hint = f"Did you mean {near[0]}?" if near else "See: rt-swap models list"
        raise ConfigError(key, f"must be one of {', '.join(fitting)}, got {name!r}. {hint}")
