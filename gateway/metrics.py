"""What Prometheus is told: rates, sizes, ages, states. Never who, never how much money.

Invariants:
  * A label's value comes from a closed list of ours: RPCs of the API, codes, reasons,
    steps, processors, parts, loops. None is a merchant, a name or a caller's choice.
  * Counting a call takes no lock and no library: plain numbers, read at a scrape.

docs/operations.md lists every metric, and the alerts.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

_CALL_SECONDS: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30
)  # fmt: skip
_STEP_SECONDS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 20, 40, 80)
_COMMIT_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10)
_UNITS: Final = (1, 2, 4, 8, 16, 32, 64, 128)

Read = Callable[[], float]
Labelled = Iterable[tuple[str, float]]


class CallMeter:
    """Counts the calls of one RPC. Used by the event loop's thread alone."""

    __slots__ = ("buckets", "ends", "seconds")

    def __init__(self) -> None:
        self.ends: dict[tuple[str, str], int] = {}
        self.buckets = [0] * (len(_CALL_SECONDS) + 1)
        self.seconds = 0.0

    def count(self, code: str, reason: str) -> None:
        """Counts a call that ended so."""
        end = code, reason
        self.ends[end] = self.ends.get(end, 0) + 1

    def time(self, seconds: float) -> None:
        """Notes how long a call took; not for streams, which last as callers like."""
        self.buckets[bisect_left(_CALL_SECONDS, seconds)] += 1
        self.seconds += seconds


class _Calls(Collector):
    """Shows the meters of every RPC."""

    def __init__(self) -> None:
        self.meters: dict[str, CallMeter] = {}

    def collect(self) -> Iterable[Metric]:
        """See Collector.collect."""
        ends = CounterMetricFamily(
            "bailee_calls", "Calls that ended.", labels=("rpc", "code", "reason")
        )
        times = HistogramMetricFamily(
            "bailee_call_seconds", "How long unary calls took.", labels=("rpc",)
        )
        for rpc, meter in self.meters.items():
            for (code, reason), count in meter.ends.items():
                ends.add_metric((rpc, code, reason), count)
            times.add_metric((rpc,), list(_sums(meter.buckets)), meter.seconds)
        return [ends, times]


class _Gauges(Collector):
    """Shows numbers that are read at each scrape."""

    def __init__(self) -> None:
        self._reads: dict[str, tuple[str, Read]] = {}
        self._labelled: dict[str, tuple[str, str, Callable[[], Labelled]]] = {}

    def add(self, name: str, help_text: str, read: Read) -> None:
        self._reads[name] = help_text, read

    def add_labelled(
        self, name: str, help_text: str, label: str, read: Callable[[], Labelled]
    ) -> None:
        self._labelled[name] = help_text, label, read

    def collect(self) -> Iterable[Metric]:
        """See Collector.collect."""
        for name, (help_text, read) in self._reads.items():
            yield GaugeMetricFamily(name, help_text, value=read())
        for name, (help_text, label, read_all) in self._labelled.items():
            family = GaugeMetricFamily(name, help_text, labels=(label,))
            for value, number in read_all():
                family.add_metric((value,), number)
            yield family


class Metrics:
    """Everything that is counted, in a registry of its own."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self.registry: Final = registry
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        self._calls = _Calls()
        self._gauges = _Gauges()
        registry.register(self._calls)
        registry.register(self._gauges)
        self._commit_units = Histogram(
            "bailee_commit_units",
            "Units of work that shared a commit.",
            buckets=_UNITS,
            registry=registry,
        )
        self._commit_seconds = Histogram(
            "bailee_commit_seconds",
            "How long commits took, until they were on disk.",
            buckets=_COMMIT_SECONDS,
            registry=registry,
        )
        self._commits_failed = Counter(
            "bailee_commits_failed",
            "Commits that did not happen.",
            registry=registry,
        )
        self._step_seconds = Histogram(
            "bailee_processor_step_seconds",
            "How long a processor took to answer a step.",
            ("processor", "step", "outcome"),
            buckets=_STEP_SECONDS,
            registry=registry,
        )
        self._declines = Counter(
            "bailee_declines",
            "Declines that processors answered, by neutral reason.",
            ("processor", "reason"),
            registry=registry,
        )
        self._unmapped = Counter(
            "bailee_decline_codes_unmapped",
            "Declines whose code the adapter does not know.",
            ("processor",),
            registry=registry,
        )
        self._loops = Counter(
            "bailee_loop_runs",
            "Iterations of background loops.",
            ("loop", "result"),
            registry=registry,
        )

    def call_meter(self, rpc: str) -> CallMeter:
        """Returns the meter of an RPC of the API."""
        return self._calls.meters.setdefault(rpc, CallMeter())

    def commit_ended(self, units: int, seconds: float, *, failed: bool) -> None:
        """Notes a commit; any thread may call it."""
        self._commit_units.observe(units)
        self._commit_seconds.observe(seconds)
        if failed:
            self._commits_failed.inc()

    def step_ended(
        self, processor: str, step: str, outcome: str, seconds: float
    ) -> None:
        """Notes an answer of a processor, or that there was none."""
        self._step_seconds.labels(processor, step, outcome).observe(seconds)

    def declined(self, processor: str, reason: str, *, is_mapped: bool) -> None:
        """Notes a decline."""
        self._declines.labels(processor, reason).inc()
        if not is_mapped:
            self._unmapped.labels(processor).inc()

    def loop_ended(self, loop: str, *, failed: bool) -> None:
        """Notes an iteration of a background loop."""
        self._loops.labels(loop, "failed" if failed else "done").inc()

    def show(self, name: str, help_text: str, read: Read) -> None:
        """Shows a number that is read at each scrape, on the event loop's thread."""
        self._gauges.add(name, help_text, read)

    def show_each(
        self, name: str, help_text: str, label: str, read: Callable[[], Labelled]
    ) -> None:
        """Shows numbers under a label, read at each scrape."""
        self._gauges.add_labelled(name, help_text, label, read)


def _sums(buckets: list[int]) -> Iterator[tuple[str, float]]:
    """Yields each bound with how many were at or under it, as Prometheus wants it."""
    total = 0
    for bound, count in zip((*_CALL_SECONDS, float("inf")), buckets, strict=True):
        total += count
        yield "+Inf" if bound == float("inf") else str(float(bound)), total
