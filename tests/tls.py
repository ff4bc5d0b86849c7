"""Certificates generated for the tests of both ends of a connection."""

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class TlsFolder:
    """The PEM files of an authority, and of a certificate that it signed."""

    ca: Path
    certificate: Path
    private_key: Path


def make_tls(folder: Path, name: str = "127.0.0.1") -> TlsFolder:
    """A new authority and a certificate for `name`; files that are there already are replaced at one stroke each."""
    folder.mkdir(parents=True, exist_ok=True)
    files = TlsFolder(folder / "ca.pem", folder / "certificate.pem", folder / "key.pem")
    authority = trustme.CA()
    leaf = authority.issue_cert(name)
    certificate = b"".join(part.bytes() for part in leaf.cert_chain_pems)
    contents = [authority.cert_pem.bytes(), certificate, leaf.private_key_pem.bytes()]
    for path, content in zip((files.ca, files.certificate, files.private_key), contents, strict=True):
        replace(path, content)
    return files


def replace(path: Path, content: bytes) -> None:
    """Write a file the way a secret store does: beside its place, then renamed into it."""
    beside = path.with_suffix(".new")
    beside.write_bytes(content)
    beside.replace(path)
