"""https without anybody's authority: a certificate that this machine makes for itself.

Browsers give poses and gamepads to pages of this machine or of https alone. A certificate that nobody vouches for is
asked about once in every browser; whoever opens the page compares the fingerprint that is printed here with the one
that the browser shows. It is kept, so that what was once allowed stays allowed.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roboscale.core.errors import BadData

__all__ = ["Certificate", "self_made_certificate"]

_DAYS = 365  # browsers refuse one that is good for longer than 398
_RENEWED_DAYS = 30  # before its end
_OURS = "roboscale on "
_AHEAD = datetime.timedelta(hours=1)  # a phone's clock may be late


@dataclass(frozen=True, slots=True)
class Certificate:
    """Two PEM files, and SHA-256 of the certificate as browsers show it."""

    file: Path
    key: Path
    fingerprint: str


def self_made_certificate(names: tuple[str, ...], folder: Path | None = None) -> Certificate:
    """The certificate of this machine, made where there is none for these names or it ends within a month.

    Args:
        names: hosts and addresses that a browser may use; localhost is added.
        folder: where it is kept; by default `ROBOSCALE_HTTPS`, or `~/.local/share/roboscale/https`.

    Raises:
        ModuleNotFoundError: `cryptography`, which the extra `https` brings, is not installed.
        BadData: what is kept there is no certificate, or somebody else's, which is never replaced.
    """
    folder = folder or Path(os.environ.get("ROBOSCALE_HTTPS") or Path.home() / ".local/share/roboscale/https")
    wanted = tuple(sorted({*names, "localhost", "127.0.0.1", "::1", *_addresses()} - {"", "0.0.0.0", "::"}))
    kept = _kept(folder, wanted)
    return kept if kept is not None else _made(folder, wanted)


def _addresses() -> Iterator[str]:
    """Of this machine, as its own name resolves."""
    with contextlib.suppress(OSError):
        for found in socket.getaddrinfo(socket.gethostname(), None):
            yield str(found[4][0]).partition("%")[0]


def _kept(folder: Path, names: tuple[str, ...]) -> Certificate | None:
    from cryptography import x509

    file, key = folder / "certificate.pem", folder / "key.pem"
    there = [one.name for one in (file, key) if one.exists()]
    if not there:
        return None
    if len(there) == 1:
        raise BadData(
            folder, "certificate", f"{file.name} and {key.name} as they were made here, or neither", there[0]
        )
    try:
        made = x509.load_pem_x509_certificate(file.read_bytes())
    except ValueError as error:
        raise BadData(file, "certificate", "PEM, as it was made here; remove the folder", str(error)) from error
    if not made.issuer.rfc4514_string().startswith(f"CN={_OURS}"):
        expected = f"one that was made here, issued by {_OURS}this machine; keep yours in another folder"
        raise BadData(file, "issuer", expected, made.issuer.rfc4514_string())
    said = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    has = {str(one.value) for one in said}
    left = made.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    if left < datetime.timedelta(days=_RENEWED_DAYS) or not set(names) <= has:
        return None
    return Certificate(file, key, _fingerprint(made))


def _made(folder: Path, names: tuple[str, ...]) -> Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _OURS + socket.gethostname()[:40])])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _AHEAD)
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName([_general(one) for one in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(folder / "key.pem", private, 0o600)
    _write(folder / "certificate.pem", made.public_bytes(serialization.Encoding.PEM), 0o644)
    return Certificate(folder / "certificate.pem", folder / "key.pem", _fingerprint(made))


def _write(file: Path, content: bytes, mode: int) -> None:
    """Nobody sees the file half written, nor with another mode."""
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as out:
        out.write(content)
    beside.replace(file)


def _general(name: str) -> Any:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _fingerprint(made: Any) -> str:
    from cryptography.hazmat.primitives import hashes

    digest = made.fingerprint(hashes.SHA256())
    return ":".join(f"{byte:02X}" for byte in digest)
