"""What the server counts and measures, for Prometheus. No name of a photo, no address of a client."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
TEXT_FORMAT = CONTENT_TYPE_LATEST


class ServerMetrics:
    """The metrics of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own = self.registry
        ProcessCollector(registry=own)
        self.requests = Counter("maskcls_requests", "answered requests", ["route", "status"], registry=own)
        self.seconds = Histogram(
            "maskcls_request_seconds", "from the head to the answer", ["route"], buckets=SECONDS, registry=own
        )
        self.photos = Counter("maskcls_photos", "photos, predicted or unreadable", ["result"], registry=own)
        self.body_bytes = Counter("maskcls_body_bytes", "bytes of bodies read", registry=own)
        self.batches = Histogram("maskcls_batch_photos", "photos per batch", buckets=BATCHES, registry=own)
        self.model_seconds = Histogram("maskcls_batch_seconds", "model, per batch", buckets=SECONDS, registry=own)
        self.decode_seconds = Histogram("maskcls_decode_seconds", "decoding, per photo", buckets=SECONDS, registry=own)
        self.queue = Gauge("maskcls_queue_photos", "photos accepted and not yet predicted", registry=own)
        self.in_bodies = Gauge("maskcls_bodies_held_bytes", "bytes of bodies in memory", registry=own)

    def watch(self, queue: Callable[[], float], bodies: Callable[[], float]) -> None:
        """Read the two gauges from these functions whenever they are asked for."""
        self.queue.set_function(queue)
        self.in_bodies.set_function(bodies)

    def batch(self, photos: int, seconds: float) -> None:
        """Observe one batch."""
        self.batches.observe(photos)
        self.model_seconds.observe(seconds)

    def request(self, route: str, status: int, seconds: float) -> None:
        """Observe one answered request."""
        self.requests.labels(route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)

    def answered(self) -> int:
        """Return the number of answered requests."""
        return self._total("maskcls_requests_total")

    def predicted(self) -> int:
        """Return the number of predicted photos."""
        return self._total("maskcls_photos_total", result="predicted")

    def _total(self, name: str, **labels: str) -> int:
        samples = (sample for metric in self.registry.collect() for sample in metric.samples if sample.name == name)
        return int(sum(sample.value for sample in samples if labels.items() <= sample.labels.items()))

    def text(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        return generate_latest(self.registry)
