"""C2PA manifests in files: writing one as the last step, and reading what a file carries.

After the C2PA specification 2.x; the work is done by c2pa-python, the binding of the reference
implementation. Nothing is fetched from the network: neither time stamps nor manifests elsewhere.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from realtime.errors import SinkError
from realtime.provenance.file_kind import kind_of
from realtime.provenance.keys import Credentials
from realtime.provenance.manifest_box import MalformedError
from realtime.provenance.manifest_place import check_embedding, file_type_sha256, has_traces
from realtime.provenance.run_record import COMPOSITE, PROGRAM, Json, RunRecord

SOFT_BINDING = "org.rtswap.spread-spectrum.1"
"""Name of the invisible mark as a soft binding; a private one until it is registered."""

MEDIA_TYPES = {
    ".avif": "image/avif",
    ".heic": "image/heic",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".m4v": "video/x-m4v",
    ".mov": "video/quicktime",
    ".mp4": "video/mp4",
    ".png": "image/png",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".webp": "image/webp",
}
"""Files that can carry a manifest, by their suffix."""

_BARE_TYPES = {".avi": "video/x-msvideo", ".mkv": "video/x-matroska", ".webm": "video/webm"}
"""Some of those that cannot, or not as far as this program can read it."""

_SESSION_ASSERTION = "org.rtswap.session"  # version 1, which C2PA does not write out
_AI_SOURCE = "rainedAlgorithmicMedia"  # IPTC's terms for pictures made so in whole or in part
_INGREDIENT = "base"
_FILE_TYPE = "file_type_sha256"
"""What this program's assertion says of the box that C2PA leaves out of its hash."""
_SETTINGS: Json = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True},
    "builder": {"thumbnail": {"enabled": False}},
    # So that memory stays bounded: what is larger goes through a temporary file, and a film is
    # hashed in parts, all of which are named in the manifest. In one piece C2PA's library takes
    # 256 MB of it at a time, twice.
    "core": {
        "backing_store_memory_threshold_in_mb": 32,
        "merkle_tree_chunk_size_in_kb": 8192,
        "merkle_tree_max_proofs": 0,
    },
}

State = Literal["trusted", "valid", "invalid", "none", "unchecked"]


@dataclass(frozen=True, slots=True)
class C2paReport:
    """What a file's manifest says, and whether it holds.

    Attributes:
        state: ``trusted``: whole, and signed by this installation; ``valid``: whole, signed by
            somebody unknown; ``invalid``: the file or the manifest was changed; ``none``;
            ``unchecked``: c2pa-python is not installed.
        problems: C2PA's codes of what does not hold.
        generator: program that signed.
        is_ai: whether it says that an algorithm made the picture or a part of it.
        session: of this program, where it wrote the manifest.
        num_ingredients: files that went in and are named.
    """

    state: State
    problems: tuple[str, ...] = ()
    generator: str | None = None
    is_ai: bool = False
    session: str | None = None
    num_ingredients: int = 0


def obstacle(path: Path) -> str | None:
    """Why a file of this name cannot be given a manifest; None if it can."""
    if path.suffix.lower() not in MEDIA_TYPES:
        return f"C2PA knows no {path.suffix} files"
    if find_spec("c2pa") is None:
        return "c2pa-python is not installed (pip install 'rt-swap[provenance]')"
    return None


def load_library() -> None:
    """Loads c2pa-python where it is installed, so that the end of a run need not wait for it."""
    if find_spec("c2pa") is not None:
        import_module("c2pa")


def sign_file(
    path: Path,
    *,
    out: Path,
    title: str,
    run: RunRecord,
    source: Path | None,
    credentials: Credentials,
) -> str | None:
    """Copies a file and gives the copy a manifest.

    An input is named as what was opened, with its own manifest if it has one.

    Args:
        path: the finished file; its suffix says its type.
        out: where the copy goes; written over.
        title: name the file will have.
        run: what is said.
        source: the input, or None for a camera.
        credentials: who says it.

    Returns:
        Why a manifest that the input might have could not be kept; None where it was.

    Raises:
        SinkError: the manifest cannot be made or the copy cannot be written.
    """
    import c2pa

    chain, key = credentials.chain_pem, credentials.key_pem
    media_type = MEDIA_TYPES[path.suffix.lower()]
    try:
        with c2pa.Settings.from_dict(_SETTINGS) as settings, c2pa.Context(settings) as context:
            info = c2pa.C2paSignerInfo(c2pa.C2paSigningAlg.ES256, chain, key, None)
            opened, loss = _open_builder(path, title, run, source, context)
            with (
                opened as builder,
                c2pa.Signer.from_info(info) as signer,
                path.open("rb") as file,
                out.open("w+b") as copy,
            ):
                builder.sign(signer, media_type, file, copy)
            return loss
    except (c2pa.C2paError, OSError) as error:
        raise SinkError(
            f"{out}: the file must be signed, got: {' '.join(str(error).split())}. "
            "Make room for a second copy of it."
        ) from error


def read_manifest(path: Path, authority_pem: bytes | None) -> C2paReport:
    """Reads and checks the manifest of a file, whatever the file is.

    Args:
        path: of a regular file; its contents say what it is, as far as they can.
        authority_pem: this installation's authority, if it has one.

    Raises:
        OSError: the file cannot be read.
    """
    media_type = MEDIA_TYPES.get(kind_of(path))
    if media_type is None:
        return C2paReport("none")
    if find_spec("c2pa") is None:
        return C2paReport("unchecked")
    import c2pa

    anchors = {"trust": {"user_anchors": authority_pem.decode()}} if authority_pem else {}
    try:
        with (
            c2pa.Settings.from_dict({**_SETTINGS, **anchors}) as settings,
            c2pa.Context(settings) as context,
            path.open("rb") as file,
            c2pa.Reader(media_type, file, context=context) as reader,
        ):
            content = json.loads(reader.json())
            report = _report(content, reader.get_validation_state() or "Invalid")
            return _checked(report, path, _session_assertion(content))
    except (c2pa.C2paError, ValueError, AttributeError, TypeError) as error:
        # A file that is broken has no manifest that holds; whether it had one can still be seen.
        problem = " ".join(str(error).split())[:200]
        return C2paReport("invalid", (problem,)) if has_traces(path) else C2paReport("none")


def _checked(report: C2paReport, path: Path, session: Json) -> C2paReport:
    """The report, once the bytes that C2PA's reader passes over have been looked at as well.

    Args:
        report: what the reader says.
        path: of the file.
        session: what this program's own assertion says; empty where there is none.
    """
    if report.state == "invalid":
        return report
    try:
        check_embedding(path, own=bool(session))
        if session.get(_FILE_TYPE, file_type := file_type_sha256(path)) != file_type:
            raise MalformedError("the box ftyp was changed")
    except MalformedError as error:
        problem = f"{PROGRAM}.box.malformed: {error}"
        return replace(report, state="invalid", problems=(*report.problems, problem))
    return report


def _manifest(title: str, run: RunRecord, said: Json, *, opened: bool) -> Json:
    agent = {"name": PROGRAM, "version": run.version}
    made = {
        "action": "c2pa.edited" if opened else "c2pa.created",
        "digitalSourceType": COMPOSITE,
        "softwareAgent": agent,
        "description": "A face was replaced by another one.",
    }
    found = {"action": "c2pa.opened", "parameters": {"ingredientIds": [_INGREDIENT]}}
    mark = {"alg": SOFT_BINDING, "blocks": [{"scope": {}, "value": run.session_id}], "pad": ""}
    return {
        "claim_generator_info": [agent],
        "title": title,
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [found, made] if opened else [made]}},
            {"label": "c2pa.soft-binding", "data": mark},
            {"label": _SESSION_ASSERTION, "data": said},
        ],
    }


def _open_builder(
    path: Path, title: str, run: RunRecord, source: Path | None, context: Any
) -> tuple[Any, str | None]:
    """The manifest to be signed, and why it lacks that of the input; None where it does not."""
    import c2pa

    said = run.as_json()
    file_type = file_type_sha256(path)
    if file_type is not None:
        said[_FILE_TYPE] = file_type
    manifest = _manifest(title, run, said, opened=source is not None)
    if source is None:
        return c2pa.Builder(json.dumps(manifest), context), None
    # Its name may say who is seen, and the file travels without it.
    told = {"title": "input", "relationship": "parentOf", "label": _INGREDIENT}
    suffix = source.suffix.lower()
    with suppress(OSError):
        suffix = kind_of(source)
    loss = f"C2PA knows no {suffix} files"
    if suffix in MEDIA_TYPES:
        builder = c2pa.Builder(json.dumps(manifest), context)
        try:
            with source.open("rb") as file:
                builder.add_ingredient(json.dumps(told), MEDIA_TYPES[suffix], file)
        except (c2pa.C2paError, OSError):
            builder.close()
            loss = "C2PA cannot read it"
        else:
            return builder, None
    told["format"] = MEDIA_TYPES.get(suffix) or _BARE_TYPES.get(suffix, "application/octet-stream")
    return c2pa.Builder(json.dumps(manifest | {"ingredients": [told]}), context), loss


def _report(content: Json, state: str) -> C2paReport:
    """What counts of a manifest store that could be read."""
    manifest = content.get("manifests", {}).get(content.get("active_manifest"), {})
    assertions = manifest.get("assertions", [])
    generators = manifest.get("claim_generator_info") or [{}]
    results = content.get("validation_results", {}).get("activeManifest", {})
    problems = [failure.get("code", "") for failure in results.get("failure", [])]
    known: dict[str, State] = {"Trusted": "trusted", "Valid": "valid"}
    return C2paReport(
        known.get(state, "invalid"),
        tuple(problem for problem in problems if problem != "signingCredential.untrusted"),
        str(generators[0].get("name", "an unnamed program")),
        any(_AI_SOURCE in source for source in _source_types(assertions)),
        _session_of(_session_assertion(content)),
        len(manifest.get("ingredients", [])),
    )


def _source_types(assertions: Sequence[Json]) -> list[str]:
    return [
        str(action.get("digitalSourceType", ""))
        for assertion in assertions
        if str(assertion.get("label", "")).startswith("c2pa.actions")
        for action in assertion.get("data", {}).get("actions", [])
    ]


def _session_assertion(content: Json) -> Json:
    """What this program has said about a run in the active manifest; empty where it has not."""
    manifest = content.get("manifests", {}).get(content.get("active_manifest"), {})
    for assertion in manifest.get("assertions", []):
        if str(assertion.get("label", "")).startswith(_SESSION_ASSERTION):
            data = assertion.get("data", {})
            return data if isinstance(data, dict) else {}
    return {}


def _session_of(session: Json) -> str | None:
    number = session.get("session")
    return number if isinstance(number, str) else None
