"""A model server for one machine that speaks TF Serving's gRPC and REST APIs."""

import asyncio
import gc
import logging
import os
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from tfmtl.schema.extras import need_extra

need_extra("serve", "server", "aiohttp", "prometheus_client", "tensorflow_serving")

from aiohttp import web

from tfmtl.folders import ExportedVersion
from tfmtl.folders.version_folders import find_versions
from tfmtl.schema.checks import check_positive_number
from tfmtl.serving.server.batching_options import BatchingOptions
from tfmtl.serving.server.choose_grpc_server import make_grpc_server
from tfmtl.serving.server.grpc_service import GrpcService
from tfmtl.serving.server.limits import Limits
from tfmtl.serving.server.model_config import ModelConfig, read_model_config_file
from tfmtl.serving.server.model_manager import ModelManager
from tfmtl.serving.server.monitoring import Monitoring
from tfmtl.serving.server.odd_times import OddTimes
from tfmtl.serving.server.request_batcher import RequestBatcher
from tfmtl.serving.server.request_log import RequestLog
from tfmtl.serving.server.rest_guard import RestGuard, http_logger
from tfmtl.serving.server.rest_service import RestService
from tfmtl.serving.server.security import Security
from tfmtl.serving.server.server_metrics import ServerMetrics
from tfmtl.serving.server.shortages import ShortageHandler, warn_of_few_files

logger = logging.getLogger(__name__)

_Drain = Callable[[], Awaitable[None]]
_DRAIN_SECONDS = 10.0
_CLOSE_SECONDS = 0.5  # for answers on their way out, after the drain


class LocalServer:
    """Serves the newest version under a directory, over gRPC and REST, and follows the directory.

    A client written for TF Serving works unchanged. Models are called by threads, so that loading the next
    version and long calls block no request; the previous version answers until the next one is ready. A version
    that cannot be loaded is logged and reported by GetModelStatus, and the one before it goes on serving.
    Write a new version under a name that is not a number and rename it, so that no half version is seen.
    Further models and labels: `from_config_file`, or HandleReloadConfigRequest where `security` allows it. Prometheus'
    metrics are at `/metrics` of the REST port, health is at `/healthz`.

    Example:

        with LocalServer("exports/census", "census", grpc_port=0, rest_port=0) as server:
            client = GrpcClient(f"127.0.0.1:{server.grpc_port}", "census")

    Args:
        base_dir: str or Path. Has one directory per version, such as `1/saved_model.pb`.
        model_name: str. Name in requests.
        host: str. Address to listen on. Defaults to `"127.0.0.1"`, this machine only. Any other without TLS and a
            token is a warning, and no error: in a container the network around it may be what keeps others out.
        grpc_port: int. Defaults to `8500`; `0` takes a free port.
        rest_port: int. Defaults to `8501`; `0` takes a free port.
        poll_seconds: float. Seconds between two checks of `base_dir` for new versions. Defaults to `1.0`.
        num_versions: int. Number of newest versions to serve, as TF Serving's policy `latest`.
            Defaults to `1`.
        batching: BatchingOptions or None. Options of batching. Defaults to None,
            `BatchingOptions.none()`.
        limits: Limits or None. Limits on requests. Defaults to None, `Limits()`.
        security: Security or None. TLS, tokens, what browsers and HandleReloadConfigRequest may do. Defaults to None,
            `Security()`.
        request_log: RequestLog or None. Log of a sample of the answered requests. Defaults to None, no log.
        refuse_odd_times: bool. Whether a request is refused whose time is in another unit than training's, or before an
            event of its own; else its rows are counted. Defaults to `False`.

    Attributes:
        grpc_port: int. While the server runs, the port it listens on.
        rest_port: int. Likewise.

    Raises:
        ValueError: if `base_dir` holds no version or another argument is out of range.
    """

    def __init__(
        self,
        base_dir: str | os.PathLike[str],
        model_name: str,
        host: str = "127.0.0.1",
        grpc_port: int = 8500,
        rest_port: int = 8501,
        poll_seconds: float = 1.0,
        num_versions: int = 1,
        batching: BatchingOptions | None = None,
        limits: Limits | None = None,
        security: Security | None = None,
        request_log: RequestLog | None = None,
        refuse_odd_times: bool = False,
    ) -> None:
        _check_base_dir(Path(base_dir))
        config = ModelConfig(model_name, Path(base_dir), num_versions)
        for name, port in (("grpc_port", grpc_port), ("rest_port", rest_port)):
            if not 0 <= port <= 65535:
                raise ValueError(
                    f"LocalServer: `{name}` must be between 0 and 65535. Received: {name}={port!r}. "
                    "Use 0 to take a free port."
                )
        check_positive_number("LocalServer", "poll_seconds", poll_seconds, "Use a large number to look rarely.")
        self.grpc_port = grpc_port
        self.rest_port = rest_port
        self._configs = [config]
        self._host = host
        self._poll_seconds = poll_seconds
        self._batching = batching or BatchingOptions.none()
        self._limits = limits or Limits()
        self._security = security or Security()
        self._request_log = request_log
        self._refuse_odd_times = refuse_odd_times
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop
        self._stopping: asyncio.Event

    @classmethod
    def from_config_file(cls, path: str | os.PathLike[str], **options: Any) -> "LocalServer":
        """A server of all models of a `--model_config_file`, such as `tfmtl deploy-files` writes.

        Args:
            path: str or Path. A `ModelServerConfig` in protobuf text format.
            **options: as of the constructor, without `base_dir`, `model_name` and `num_versions`.

        Raises:
            ValueError: if the file or an option is wrong.
            OSError: if the file cannot be read.
            ServingError: `INVALID_ARGUMENT` if a model is described wrongly.
        """
        configs = read_model_config_file(path)
        server = cls(configs[0].base_dir, configs[0].name, **options)
        server._configs = configs
        return server

    def __enter__(self) -> "LocalServer":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """Starts serving in a background thread and returns when requests can be answered.

        Raises:
            ServingError: if no version can be loaded.
            OSError: if a port cannot be opened.
            RuntimeError: if the server already runs.
        """
        self._check_not_running()
        started: Future[None] = Future()
        thread = threading.Thread(target=self._run, args=(started,), name="local-server", daemon=True)
        thread.start()
        started.result()
        self._thread = thread

    def stop(self) -> None:
        """Stops a started server: up to 10 s on each protocol for requests under way. Does nothing if stopped."""
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
            self._thread = None

    def serve_forever(self) -> None:
        """Serves in the calling thread, which must be the main one, until SIGTERM or SIGINT.

        Raises:
            ServingError: if no version can be loaded.
            OSError: if a port cannot be opened.
            RuntimeError: if the server already runs.
        """
        self._check_not_running()
        gc.freeze()  # TensorFlow's own objects, so that looking for those of versions that have ended is quick
        asyncio.run(self._serve_until_signal())

    def _check_not_running(self) -> None:
        if self._thread is not None:
            raise RuntimeError("LocalServer: the server already runs. Call stop() first.")

    def _run(self, started: "Future[None]") -> None:
        async def serve() -> None:
            async with self._serving():
                started.set_result(None)
                await self._stopping.wait()

        try:
            asyncio.run(serve())
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    async def _serve_until_signal(self) -> None:
        async with self._serving():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._loop.add_signal_handler(number, self._stopping.set)
            await self._stopping.wait()
            logger.info("Stopping; requests under way have %.0f s.", _DRAIN_SECONDS)

    @asynccontextmanager
    async def _serving(self) -> AsyncIterator[None]:
        """Loads, opens both ports, and closes everything in the reverse order."""
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._loop.set_exception_handler(ShortageHandler())
        warn_of_few_files(self._limits)
        models, metrics = ModelManager(self._configs), ServerMetrics()
        async with AsyncExitStack() as stack:
            if self._request_log is not None:
                stack.enter_context(self._request_log)
            # Loading has its own thread: a pool full of requests must not delay the next version.
            loader = stack.enter_context(ThreadPoolExecutor(1, "model-loader"))
            await self._loop.run_in_executor(loader, models.start)
            pool = stack.enter_context(ThreadPoolExecutor(thread_name_prefix="convert"))
            batcher = stack.enter_context(
                RequestBatcher(self._batching, metrics, OddTimes(metrics, self._refuse_odd_times))
            )
            common = pool, self._limits, self._request_log
            drains = [
                await self._open_grpc(
                    stack, GrpcService(models, batcher, metrics, loader, *common, self._reload_roots())
                ),
                await self._open_rest(stack, RestService(models, batcher, *common), Monitoring(models, metrics)),
            ]
            stack.push_async_callback(_drain, drains)
            self._start_task(stack, self._poll(models, loader))
            self._security.warn_about(self._host)
            logger.info(
                "Serving model %s: gRPC on %s:%d, REST on %s://%s:%d/v1/models/%s",
                ", ".join(repr(name) for name in models.names()),
                self._host,
                self.grpc_port,
                "https" if self._security.has_tls else "http",
                self._host,
                self.rest_port,
                models.names()[0],
            )
            yield

    def _reload_roots(self) -> list[Path] | None:
        """The folders below which a further configuration may find models; None if there is to be none."""
        if not self._security.can_reload:
            return None
        base = self._security.reload_base
        return [config.base_dir for config in self._configs] if base is None else [base]

    async def _open_grpc(self, stack: AsyncExitStack, service: GrpcService) -> _Drain:
        server = make_grpc_server(service.methods(), self._limits, self._security)
        host = f"[{self._host}]" if ":" in self._host else self._host
        try:
            self.grpc_port = server.open(f"{host}:{self.grpc_port}")
        except RuntimeError as error:
            raise _port_error("grpc_port", self.grpc_port, self._host) from error
        await server.start()
        # Whom it let in has been answered by then, and the core waits in vain for calls that it never handed on.
        stack.push_async_callback(server.stop, _CLOSE_SECONDS)
        return lambda: server.admission.drain(_DRAIN_SECONDS)

    async def _open_rest(self, stack: AsyncExitStack, service: RestService, monitoring: Monitoring) -> _Drain:
        guard = RestGuard(self._limits, self._security, self._host)
        application = service.application(guard.check)
        monitoring.add_to(application)
        runner = web.AppRunner(
            application,
            access_log=None,
            logger=http_logger,
            shutdown_timeout=_CLOSE_SECONDS,
            keepalive_timeout=self._limits.idle_seconds,
            auto_decompress=False,
            handler_cancellation=True,  # who has gone away needs no answer computed
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        assert runner.server is not None  # for mypy: it is there after setup
        tls = self._security.ssl_context()
        try:
            listener = await self._loop.create_server(
                runner.server,
                self._host,
                self.rest_port,
                ssl=tls,
                ssl_handshake_timeout=self._limits.read_seconds if tls else None,
            )
        except OSError as error:
            raise _port_error("rest_port", self.rest_port, self._host) from error
        stack.callback(listener.close)
        self.rest_port = listener.sockets[0].getsockname()[1]
        self._start_task(stack, guard.watch(runner.server))

        async def drain() -> None:
            listener.close()
            await guard.admission.drain(_DRAIN_SECONDS)

        return drain

    def _start_task(self, stack: AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
        """Runs `work` beside the requests until the stack is left."""
        stack.callback(self._loop.create_task(work).cancel)

    async def _poll(self, models: ModelManager, loader: ThreadPoolExecutor) -> None:
        while True:
            await asyncio.sleep(self._poll_seconds)
            try:
                await self._loop.run_in_executor(loader, models.refresh)
            # Whatever went wrong with this look, what is loaded goes on serving and the next look may succeed.
            except Exception as error:
                logger.warning("Cannot look for versions. %s: %s", type(error).__name__, error)


async def _drain(drains: list[_Drain]) -> None:
    """Both protocols at once, so that none takes new requests while the other waits for its last."""
    await asyncio.gather(*(drain() for drain in drains))


def _check_base_dir(base_dir: Path) -> None:
    if not base_dir.is_dir():
        problem, advice = "is not a directory", "Export a model first."
    elif ExportedVersion(base_dir).is_there:
        problem, advice = "is itself one version", "Give the directory above it, and name this one by a number."
    elif not find_versions(base_dir):
        names = sorted(path.name for path in base_dir.iterdir())
        problem, advice = f"holds no version (it holds {names})", "Export a model there, such as into 1/."
    else:
        return
    raise ValueError(
        "LocalServer: `base_dir` must hold a directory named by a version number. "
        f"Received: base_dir={str(base_dir)!r}, which {problem}. {advice}"
    )


def _port_error(name: str, port: int, host: str) -> OSError:
    return OSError(
        f"LocalServer: `{name}` must be free on {host!r}. Received: {name}={port}, which cannot be opened. "
        "Stop what listens there, or use 0 to take a free port."
    )
