"""Cloud Storage on this machine: Beam's own client for gs://, and a server that answers it."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from apache_beam.io.gcp import gcsio
from gcp_storage_emulator.server import create_server
from google.cloud import storage


@contextmanager
def gcs_bucket(name: str) -> Iterator[storage.Bucket]:
    """An empty bucket, in memory."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket=name)
    server.start()
    try:
        with (
            mock.patch.dict("os.environ", STORAGE_EMULATOR_HOST=f"http://127.0.0.1:{port}"),
            mock.patch.object(gcsio.auth, "get_service_credentials", lambda _: None),
        ):
            yield storage.Client.create_anonymous_client().bucket(name)
    finally:
        server.stop()
