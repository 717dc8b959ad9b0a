"""This installation's own keys: made on first use, kept in the user's data folder, never sent.

Below a certificate authority of this installation's own stands a certificate for signing; where
the package for that is missing, a secret serves that only this installation can check with. Each
key appears with its certificate in one step, so two programs that start at once agree on them.
"""

import logging
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from realtime.consent import default_consent_path
from realtime.errors import SinkError

if TYPE_CHECKING:
    from realtime.provenance.certificates import Issued

logger = logging.getLogger(__name__)

_KEY_MODE = 0o600
_FOLDER_MODE = 0o700
_SECRET_BYTES = 32
_CERTIFICATE, _KEY, _SECRET = "certificate.pem", "key.pem", "secret.key"
_RENEW_BEFORE = timedelta(days=7)

Now = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Credentials:
    """What signs for this installation.

    Attributes:
        chain_pem: the signing certificate and then the authority's.
        key_pem: private key of the signing certificate.
        authority_pem: the authority's certificate alone.
    """

    chain_pem: bytes
    key_pem: bytes
    authority_pem: bytes


def default_key_folder() -> Path:
    """``keys`` in the user's data folder, beside the record of consents."""
    return default_consent_path().with_name("keys")


class KeyFolder:
    """The keys on disk.

    Args:
        path: the folder; made when the first key is.
        now: the clock, for tests.
    """

    def __init__(self, path: Path, now: Now = lambda: datetime.now(UTC)) -> None:
        self._path = path
        self._now = now

    def secret(self) -> bytes:
        """32 random bytes that only this installation knows.

        Raises:
            SinkError: they cannot be read or made.
        """
        with _readable(self._path):
            self._keep_private()
            folder = self._path / "secret"
            if not folder.is_dir():
                _place(folder, {_SECRET: secrets.token_bytes(_SECRET_BYTES)})
            return (folder / _SECRET).read_bytes()

    def credentials(self) -> Credentials | None:
        """The certificate to sign with, renewed in time; None without the package it takes.

        Raises:
            SinkError: it cannot be read or made.
        """
        if find_spec("cryptography") is None:
            return None
        from realtime.provenance.certificates import issue_authority, issue_signer

        with _readable(self._path):
            self._keep_private()
            authority = self._path / "authority"
            if not authority.is_dir():
                _place(authority, _named(issue_authority(self._now())))
            authority_pem = (authority / _CERTIFICATE).read_bytes()
            signer = self._valid_signer()
            if signer is None:
                key_pem = (authority / _KEY).read_bytes()
                issued = issue_signer(authority_pem, key_pem, self._now())
                signer = self._path / f"signer-{issued.ends:%Y%m%d}"
                _place(signer, _named(issued))
            chain_pem = (signer / _CERTIFICATE).read_bytes() + authority_pem
            return Credentials(chain_pem, (signer / _KEY).read_bytes(), authority_pem)

    def known_authority(self) -> bytes | None:
        """The authority's certificate if there is one already; makes nothing."""
        try:
            return (self._path / "authority" / _CERTIFICATE).read_bytes()
        except OSError:
            return None

    def known_secret(self) -> bytes | None:
        """The secret if there is one already; makes nothing."""
        try:
            return (self._path / "secret" / _SECRET).read_bytes()
        except OSError:
            return None

    def _keep_private(self) -> None:
        """Closes keys to others, as those of a copied folder may be open, and says so."""
        if os.name != "posix":
            return
        # Not what another program is just making, which is moved to its place meanwhile.
        for path in self._path.glob("[!.]*/*"):
            if path.name in (_KEY, _SECRET) and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                # Some file systems know no such permissions.
                with suppress(OSError):
                    path.chmod(_KEY_MODE)
                logger.warning(
                    "%s: others could read this key. If somebody may have, remove the folder %s: "
                    "new keys are made.",
                    path,
                    self._path,
                )

    def _valid_signer(self) -> Path | None:
        """The certificate that lasts longest, if it lasts long enough."""
        least = f"signer-{self._now() + _RENEW_BEFORE:%Y%m%d}"
        names = sorted(path.name for path in self._path.glob("signer-????????"))
        return self._path / names[-1] if names and names[-1] > least else None


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turns an error of the disk into one line about the key folder."""
    try:
        yield
    except OSError as error:
        raise SinkError(
            f"{path}: the keys for signing must be readable and writable, got: {error.strerror}. "
            "Make the folder accessible, or set XDG_DATA_HOME to one that is."
        ) from error


def _named(issued: "Issued") -> dict[str, bytes]:
    return {_CERTIFICATE: issued.certificate_pem, _KEY: issued.key_pem}


def _place(folder: Path, files: Mapping[str, bytes]) -> None:
    """Makes a folder with its files in one step; one that somebody else has just made stays."""
    folder.parent.mkdir(parents=True, exist_ok=True, mode=_FOLDER_MODE)
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    partial.mkdir(mode=_FOLDER_MODE)
    try:
        for name, content in files.items():
            handle = os.open(partial / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _KEY_MODE)
            with open(handle, "wb") as file:  # noqa: PTH123
                file.write(content)
        partial.rename(folder)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)
        if not folder.is_dir():
            raise
