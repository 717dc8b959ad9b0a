"""The file beside a file: what made it, its hash, and a signature over both.

``out.mp4.rtswap.json`` stays readable where metadata in the file are stripped or its kind carries
none. The signature covers everything but itself, as JSON with sorted keys and no spaces.
"""

import base64
import hashlib
import hmac
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from realtime.errors import SinkError
from realtime.provenance.keys import KeyFolder
from realtime.provenance.run_record import Json, RunRecord

FORMAT = "org.rtswap.sidecar.v1"
SUFFIX = ".rtswap.json"

_MAX_BYTES = 1_000_000

State = Literal["own", "other", "unchecked", "mismatch", "forged", "none"]


@dataclass(frozen=True, slots=True)
class SidecarReport:
    """What a sidecar says about the file it lies beside.

    Attributes:
        state: ``own``: whole, signed by this installation; ``other``: whole, signed by another;
            ``unchecked``: the hash is right but the signature cannot be checked here;
            ``mismatch``: the file is another one; ``forged``: the sidecar was changed or is
            damaged; ``none``.
        session: eight hexadecimal digits.
    """

    state: State
    session: str | None = None


def sidecar_path(path: Path) -> Path:
    """Where the sidecar of a file lies."""
    return path.with_name(path.name + SUFFIX)


def write_sidecar(path: Path, *, output: Path, c2pa: str, run: RunRecord, keys: KeyFolder) -> None:
    """Writes the sidecar of a file that is finished.

    Args:
        path: name the file has or will have.
        output: where the file lies now.
        c2pa: ``signed``, or why it is not.
        run: what made it.
        keys: of this installation.

    Raises:
        SinkError: it cannot be written.
    """
    target = sidecar_path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        facts = {"name": path.name, "bytes": output.stat().st_size, "sha256": _sha256(output)}
        record: Json = {
            "format": FORMAT,
            "run": run.as_json(),
            "output": facts,
            "c2pa": c2pa,
        }
        record["signature"] = _sign(_canonical(record), keys)
        partial.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", "utf-8")
        partial.replace(target)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise SinkError(
            f"{target}: must be writable, got: {error.strerror}. Make room or name another place."
        ) from error


def read_sidecar(path: Path, keys: KeyFolder) -> SidecarReport:
    """Checks the sidecar of a file, whatever it holds.

    Args:
        path: the file itself.
        keys: of this installation; none are made.
    """
    target = sidecar_path(path)
    try:
        if not target.is_file():
            return SidecarReport("none")
        if target.stat().st_size > _MAX_BYTES:
            return SidecarReport("forged")
        record = json.loads(target.read_bytes())
        signature = record.pop("signature")
        session = str(record["run"]["session"])
        stated = record["output"]["sha256"]
        signed = _canonical(record)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError):
        return SidecarReport("forged")
    state = _check(signed, signature, keys)
    if state != "forged" and stated != _sha256(path):
        state = "mismatch"
    return SidecarReport(state, session)


def _canonical(record: Json) -> bytes:
    return json.dumps(record, sort_keys=True, separators=(",", ":")).encode()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sign(data: bytes, keys: KeyFolder) -> Json:
    credentials = keys.credentials()
    if credentials is None:
        secret = keys.secret()
        digest = base64.b64encode(hmac.digest(secret, data, "sha256")).decode()
        return {"alg": "HS256", "key": _name_of(secret), "value": digest}
    from realtime.provenance import certificates

    value = certificates.sign(credentials.key_pem, data)
    return {
        "alg": "ES256",
        "certificates": credentials.chain_pem.decode(),
        "value": base64.b64encode(value).decode(),
    }


def _name_of(secret: bytes) -> str:
    """Tells secrets apart without giving anything of them away."""
    return hashlib.sha256(secret).hexdigest()[:16]


def _check_secret(data: bytes, value: bytes, key: object, secret: bytes | None) -> State:
    # Another installation's secret is unknown, so nothing speaks for or against its signature.
    if secret is None or key != _name_of(secret):
        return "unchecked"
    matches = hmac.compare_digest(value, hmac.digest(secret, data, "sha256"))
    return "own" if matches else "forged"


def _check(data: bytes, signature: object, keys: KeyFolder) -> State:
    """Whether the signature is over this data, and whose it is."""
    if not isinstance(signature, dict):
        return "forged"
    try:
        value = base64.b64decode(str(signature.get("value")), validate=True)
    except ValueError:
        return "forged"
    if signature.get("alg") == "HS256":
        return _check_secret(data, value, signature.get("key"), keys.known_secret())
    if signature.get("alg") != "ES256":
        return "forged"
    if find_spec("cryptography") is None:
        return "unchecked"
    from realtime.provenance import certificates

    chain = str(signature.get("certificates")).encode(errors="replace")
    authority = certificates.verify(chain, data, value)
    if authority is None:
        return "forged"
    return "own" if authority == keys.known_authority() else "other"
