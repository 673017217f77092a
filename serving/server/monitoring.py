"""Metrics and health over HTTP."""

import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from tfmtl.serving.server.model_manager import ModelManager
from tfmtl.serving.server.server_metrics import CONTENT_TYPE, ServerMetrics
from tfmtl.serving.serving_error import HTTP_CODES

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# TF Serving's path, and the one that scrapers look at unless told otherwise.
_METRICS_PATHS = ("/monitoring/prometheus/metrics", "/metrics")
_HEALTH_PATH = "/healthz"


class Monitoring:
    """Answers `/metrics` and `/healthz`, and counts the requests of the REST API.

    `/healthz` is `200` if every model has a version that answers, else `503`.

    Args:
        models: ModelManager. The loaded versions.
        metrics: ServerMetrics. What is counted.
    """

    def __init__(self, models: ModelManager, metrics: ServerMetrics) -> None:
        self._models = models
        self._metrics = metrics
        metrics.watch_versions(models.versions)

    def add_to(self, application: web.Application) -> None:
        """Adds the paths, and counting as the outermost of the middlewares."""
        for path in _METRICS_PATHS:
            application.router.add_get(path, self._get_metrics)
        application.router.add_get(_HEALTH_PATH, self._get_health)
        application.middlewares.insert(0, self._count)

    async def _get_metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.text().encode(), headers={"Content-Type": CONTENT_TYPE})

    async def _get_health(self, request: web.Request) -> web.Response:
        available = {name for name, _, state in self._models.versions() if state == "AVAILABLE"}
        without = sorted(set(self._models.names()) - available)
        if without:
            return web.json_response({"status": "unavailable", "models": without}, status=503)
        return web.json_response({"status": "ok"})

    @web.middleware
    async def _count(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        method = _method(request)
        if not method:  # not of the API
            return await handler(request)
        started = time.monotonic()
        code = "CANCELLED"  # unless it is answered
        try:
            response = await handler(request)
            code = HTTP_CODES.get(response.status, "INTERNAL")
            return response
        finally:
            name = request.match_info["name"]
            model = name if self._models.is_known(name) else ""
            self._metrics.observe_request("rest", method, model, code, time.monotonic() - started)


def _method(request: web.Request) -> str:
    """gRPC's name of what a request of the REST API asks; empty for any other."""
    if "name" not in request.match_info:
        return ""
    if request.method == "POST":
        return request.path.rpartition(":")[2].capitalize()  # the router lets no other words through
    return "GetModelMetadata" if request.path.endswith("/metadata") else "GetModelStatus"
