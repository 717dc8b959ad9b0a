import base64
import os
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from realtime.errors import SinkError
from realtime.provenance.keys import KeyFolder

pytest.importorskip("cryptography")

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from realtime.provenance import certificates

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "keys"


def test_keys_are_made_once_and_stay(folder: Path):
    keys = KeyFolder(folder)
    first = keys.credentials()
    assert first is not None
    assert keys.credentials() == first
    assert KeyFolder(folder).credentials() == first
    assert keys.secret() == keys.secret()
    assert len(keys.secret()) == 32


@pytest.mark.skipif(os.name != "posix", reason="permissions of this kind are POSIX")
def test_nobody_else_can_read_a_key(folder: Path):
    KeyFolder(folder).credentials()
    KeyFolder(folder).secret()
    for path in (folder, *folder.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.skipif(os.name != "posix", reason="permissions of this kind are POSIX")
def test_a_key_that_others_can_read_is_closed_to_them_and_that_is_said(folder: Path, caplog):
    keys = KeyFolder(folder)
    first = keys.credentials()
    secret = keys.secret()
    for path in folder.rglob("*.*"):
        path.chmod(0o644)
    assert keys.credentials() == first
    for path in (*folder.rglob("key.pem"), *folder.rglob("secret.key")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        assert caplog.text.count(f"{path}: others could read this key.") == 1
    caplog.clear()
    assert keys.secret() == secret
    assert not caplog.records


def test_looking_for_keys_makes_none(folder: Path):
    assert KeyFolder(folder).known_authority() is None
    assert KeyFolder(folder).known_secret() is None
    assert not folder.exists()


def test_threads_that_start_at_once_agree_on_the_keys(folder: Path):
    found: list[object] = []
    start = threading.Barrier(4)

    def take() -> None:
        start.wait()
        found.append((KeyFolder(folder).secret(), KeyFolder(folder).known_authority()))

    KeyFolder(folder).credentials()
    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.skipif(os.name != "posix", reason="needs the permissions of POSIX")
def test_what_another_program_is_just_making_is_left_alone(folder: Path):
    partial = folder / ".secret.0123abcd"
    partial.mkdir(parents=True)
    # As the glob would find it that looks into a folder which is renamed at this moment.
    (partial / "secret.key").symlink_to("gone")
    assert KeyFolder(folder).secret()


def test_the_signing_certificate_is_renewed_before_it_ends(folder: Path):
    first = KeyFolder(folder, lambda: NOON).credentials()
    later = KeyFolder(folder, lambda: NOON + timedelta(days=300)).credentials()
    last = KeyFolder(folder, lambda: NOON + timedelta(days=360)).credentials()
    assert first is not None
    assert last is not None
    assert later == first
    assert last.key_pem != first.key_pem
    assert last.authority_pem == first.authority_pem


def test_the_chain_is_what_c2pa_asks_for(folder: Path):
    credentials = KeyFolder(folder, lambda: NOON).credentials()
    assert credentials is not None
    leaf, authority = x509.load_pem_x509_certificates(credentials.chain_pem)
    leaf.verify_directly_issued_by(authority)
    assert leaf.version is x509.Version.v3
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_cert_sign
    assert leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value == (
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
    )
    life = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    assert timedelta(days=364) < life < timedelta(days=367)
    # No name of a person or machine: it travels with every file.
    assert os.uname().nodename not in leaf.subject.rfc4514_string()


def test_a_signature_holds_for_its_data_and_its_chain_only(tmp_path: Path):
    mine, other = (KeyFolder(tmp_path / name).credentials() for name in ("a", "b"))
    assert mine is not None
    assert other is not None
    signature = certificates.sign(mine.key_pem, b"data")
    assert certificates.verify(mine.chain_pem, b"data", signature) == mine.authority_pem
    assert certificates.verify(mine.chain_pem, b"Data", signature) is None
    assert certificates.verify(other.chain_pem, b"data", signature) is None
    mixed = mine.chain_pem.replace(mine.authority_pem, other.authority_pem)
    assert certificates.verify(mixed, b"data", signature) is None
    assert certificates.verify(mine.authority_pem, b"data", signature) is None
    assert certificates.verify(b"nothing", b"data", signature) is None


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_a_chain_with_any_byte_changed_vouches_for_nothing_and_does_no_harm(
    folder: Path, flip: int
):
    credentials = KeyFolder(folder).credentials()
    assert credentials is not None
    signature = certificates.sign(credentials.key_pem, b"data")
    chain = x509.load_pem_x509_certificates(credentials.chain_pem)
    signer, authority = (one.public_bytes(serialization.Encoding.DER) for one in chain)
    first = signer.index(chain[0].tbs_certificate_bytes)
    signed = range(first, first + len(chain[0].tbs_certificate_bytes))
    for at in range(len(signer)):
        whose = certificates.verify(_pem(_flipped(signer, at, flip), authority), b"data", signature)
        # Outside what is signed one spare bit of the signature's own length says nothing.
        assert whose is None or at not in signed
    for at in range(len(authority)):
        whose = certificates.verify(_pem(signer, _flipped(authority, at, flip)), b"data", signature)
        assert whose != credentials.authority_pem


def _flipped(data: bytes, at: int, flip: int) -> bytes:
    return data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :]


def _pem(*ders: bytes) -> bytes:
    return b"".join(
        b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"
        for der in ders
    )


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SinkError, match="the keys for signing must be readable"):
        KeyFolder(tmp_path / "file" / "keys").credentials()
