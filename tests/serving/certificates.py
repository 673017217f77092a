"""Certificates, keys and a token for the tests of security."""

import subprocess
from pathlib import Path

TOKEN = "correct-horse-battery-staple"

_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def write_pems(folder: Path) -> None:
    """`ca.pem` signed `client.pem`; `server.pem`, for 127.0.0.1, signed itself; each has a `.key`.

    `locked.key` is that of the server behind a password. `token` holds the token.
    """
    for name in ("server", "ca"):
        files = ["-keyout", f"{name}.key", "-out", f"{name}.pem"]
        san = ["-addext", "subjectAltName=IP:127.0.0.1"] if name == "server" else []
        _openssl(folder, "req", "-x509", *_NEW_KEY, *files, "-days", "2", "-subj", f"/CN={name}", *san)
    _openssl(folder, "req", *_NEW_KEY, "-keyout", "client.key", "-out", "client.csr", "-subj", "/CN=client")
    signer = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]
    _openssl(folder, "x509", "-req", "-in", "client.csr", *signer, "-days", "2", "-out", "client.pem")
    _openssl(folder, "pkey", "-in", "server.key", "-aes256", "-passout", "pass:secret", "-out", "locked.key")
    (folder / "token").write_text(TOKEN + "\n")


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
