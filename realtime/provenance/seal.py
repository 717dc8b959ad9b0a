"""The last step of writing a file: its metadata, its C2PA manifest, its sidecar."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from realtime.errors import SinkError
from realtime.provenance.aigc import TAG, aigc_json, xmp_packet
from realtime.provenance.c2pa_manifest import load_library, obstacle, sign_file
from realtime.provenance.keys import KeyFolder
from realtime.provenance.manifest_place import has_traces
from realtime.provenance.run_record import RunRecord
from realtime.provenance.sidecar import write_sidecar

logger = logging.getLogger(__name__)

SIGNED = "signed"


class Seal:
    """Says in and beside a file what a run has made; for one output file.

    Args:
        run: what is said.
        source: the input, if it is a file; its own manifest is kept as that of an ingredient.
        keys: of this installation.
    """

    def __init__(self, run: RunRecord, source: Path | None, keys: KeyFolder) -> None:
        self._run = run
        self._source = source
        self._keys = keys
        self._c2pa: str | None = None

    @property
    def c2pa(self) -> str | None:
        """``signed``, with what is missing in it, or why not, once a file has been sealed."""
        return self._c2pa

    @contextmanager
    def extended(
        self, faces: Mapping[str, str], models: Mapping[str, str], *, built_in: bool = False
    ) -> Iterator[None]:
        """Says that more was put to use; not if what the block does fails.

        A file that is finished meanwhile says so already, so that none keeps quiet about a face.

        Args:
            faces: kind of consent by SHA-256 of the picture.
            models: SHA-256 of networks by name.
            built_in: whether the built-in face is used.
        """
        before = self._run
        self._run = before.extended(faces, models, built_in=built_in)
        try:
            yield
        except BaseException:
            self._run = before
            raise

    def open(self) -> None:
        """Makes the keys where there are none yet and loads what signs, before any work is done.

        Raises:
            SinkError: they cannot be read or made.
        """
        if self._keys.credentials() is None:
            self._keys.secret()
        load_library()

    def tags(self) -> dict[str, str]:
        """Metadata of a video's container."""
        return {TAG: aigc_json(self._run), "comment": self._run.comment()}

    def xmp(self) -> bytes:
        """Metadata of a picture."""
        return xmp_packet(self._run)

    def finish(self, part: Path, path: Path) -> None:
        """Signs a finished file in its place and writes its sidecar.

        A file that cannot be signed stays as it is: label, invisible mark and metadata are in it,
        and the sidecar says what is missing.

        Args:
            part: the file, complete and closed.
            path: name that it will get.

        Raises:
            SinkError: the sidecar cannot be written.
        """
        self._c2pa = self._sign(part, path)
        write_sidecar(path, output=part, c2pa=self._c2pa, run=self._run, keys=self._keys)

    def _sign(self, part: Path, path: Path) -> str:
        """Gives the file a manifest; returns ``signed``, with what is missing, or why not."""
        reason = obstacle(path)
        if reason is not None:
            return f"not signed: {reason}{self._lost_manifest()}"
        credentials = self._keys.credentials()
        if credentials is None:
            return "not signed: cryptography is not installed (pip install 'rt-swap[provenance]')"
        signed = part.with_name(f".{part.stem}.signed{path.suffix}")
        try:
            loss = sign_file(
                part,
                out=signed,
                title=path.name,
                run=self._run,
                source=self._source,
                credentials=credentials,
            )
            signed.replace(part)
        except (SinkError, OSError) as error:
            signed.unlink(missing_ok=True)
            logger.warning("%s has no C2PA manifest: %s", path, error)
            return "not signed: signing failed"
        return SIGNED if loss is None else f"{SIGNED}; the input without a manifest: {loss}"

    def _lost_manifest(self) -> str:
        """Says that the input has a manifest, where there is one and no place for it."""
        try:
            is_lost = self._source is not None and has_traces(self._source)
        except OSError:
            return ""
        return "; the manifest of the input is not kept" if is_lost else ""
