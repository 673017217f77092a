"""An awaited client as one that is called, so that the same tests are for both."""

import asyncio
from typing import Any

from tfmtl.serving.client.async_client import AsyncClient


class BlockingClient:
    """Runs each call of an asynchronous client in an event loop of its own."""

    def __init__(self, client_class: type[AsyncClient], *arguments: Any, **options: Any) -> None:
        self._runner = asyncio.Runner()
        self._client = client_class(*arguments, **options)

    def __enter__(self) -> "BlockingClient":
        return self

    def __exit__(self, *exception: object) -> None:
        self._runner.run(self._client.close())
        self._runner.close()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        return lambda *arguments, **options: self._runner.run(method(*arguments, **options))
