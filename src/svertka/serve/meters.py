"""What is counted, for Prometheus: routes, statuses, times, models; nothing of an image or its name."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as TEXT

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Meters:
    """The counters of one server, in a registry of their own."""

    content_type = TEXT

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "svertka_requests", "Requests that were answered.", ["route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "svertka_request_seconds",
            "From a request's head to its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._in_flight = Gauge(
            "svertka_requests_in_flight", "Requests that are computed or wait for it.", registry=self._registry
        )
        self._connections = Gauge("svertka_connections", "Open connections.", registry=self._registry)
        self._predictions = Counter(
            "svertka_predictions", "Images that were predicted.", ["model"], registry=self._registry
        )
        self._rejected = Counter(
            "svertka_images_rejected", "Images that could not be used.", ["reason"], registry=self._registry
        )

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Counts one request."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def predicted(self, model: str) -> None:
        """Counts one image."""
        self._predictions.labels(model).inc()

    def rejected(self, reason: str) -> None:
        """Counts one image that could not be used."""
        self._rejected.labels(reason).inc()

    def written(self, in_flight: int, connections: int) -> bytes:
        """Prometheus' text format."""
        self._in_flight.set(in_flight)
        self._connections.set(connections)
        return generate_latest(self._registry)
