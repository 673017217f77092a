"""What a server counts, in Prometheus' text format."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

Version: TypeAlias = tuple[str, int, str]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class ServerMetrics:
    """Counts requests, their time, batches and what waits, for one of maybe several servers of a process.

    - `serving_requests_total{protocol, method, model, status}`: answered requests; `status` is gRPC's name for both.
    - `serving_request_seconds{protocol, method, model}`: from the request's arrival to its answer, a histogram.
    - `serving_batch_rows`, `serving_batch_requests`: of each computed batch, histograms.
    - `serving_odd_time_rows_total{model, what}`: rows whose time is in another unit, or before an event of theirs.
    - `serving_queued_batches`: batches that wait.
    - `serving_model_version{model, version, state}`: 1 for the state of each version known.
    - `process_*`: memory, processor time and open files.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "serving_requests",
            "Answered requests.",
            ("protocol", "method", "model", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "serving_request_seconds",
            "Seconds from a request's arrival to its answer.",
            ("protocol", "method", "model"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._rows = Histogram("serving_batch_rows", "Rows of a batch.", buckets=_ROWS, registry=self._registry)
        self._batched = Histogram(
            "serving_batch_requests", "Requests of a batch.", buckets=_ROWS, registry=self._registry
        )
        self._odd_times = Counter(
            "serving_odd_time_rows",
            "Rows whose time is in another unit than training's, or before an event of theirs.",
            ("model", "what"),
            registry=self._registry,
        )
        self._queued = Gauge("serving_queued_batches", "Batches that wait.", registry=self._registry)
        ProcessCollector(registry=self._registry)
        self._series: dict[tuple[str, str, str, str], tuple[Counter, Histogram]] = {}

    def watch_queue(self, length: Callable[[], int]) -> None:
        """Sets what tells the number of batches that wait."""
        self._queued.set_function(length)

    def watch_versions(self, versions: Callable[[], Iterable[Version]]) -> None:
        """Sets what tells every known version as name, number and state."""
        self._registry.register(_VersionCollector(versions))

    def observe_batch(self, requests: int, rows: int) -> None:
        """Counts a batch that is about to be computed."""
        self._batched.observe(requests)
        self._rows.observe(rows)

    def observe_odd_times(self, model: str, what: str, rows: int) -> None:
        """Counts rows whose times cannot be meant so."""
        self._odd_times.labels(model, what).inc(rows)

    def observe_request(self, protocol: str, method: str, model: str, status: str, seconds: float) -> None:
        """Counts an answered request.

        Args:
            protocol: str. `"grpc"` or `"rest"`.
            method: str. For example `"Predict"`.
            model: str. The name of a served model; a client's own words would make a series each.
            status: str. gRPC's name of the status.
            seconds: float. From the request's arrival to its answer.
        """
        key = protocol, method, model, status
        series = self._series.get(key)
        if series is None:  # what `labels` checks each time takes longer than counting
            counter, histogram = self._requests.labels(*key), self._seconds.labels(protocol, method, model)
            series = self._series[key] = counter, histogram
        series[0].inc()
        series[1].observe(seconds)

    def text(self) -> str:
        """Everything counted so far, of content type `CONTENT_TYPE`."""
        return generate_latest(self._registry).decode()


class _VersionCollector(Collector):
    """Reads the versions when asked, so that nothing is forgotten or told twice."""

    def __init__(self, versions: Callable[[], Iterable[Version]]) -> None:
        self._versions = versions

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(
            "serving_model_version", "1 for the state of each known version.", labels=("model", "version", "state")
        )
        for name, version, state in self._versions():
            family.add_metric((name, str(version), state), 1.0)
        yield family
