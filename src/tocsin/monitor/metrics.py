"""Tocsin's own metrics, with bounded labels: nothing in them grows but with the number of datasources."""

from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from tocsin.domain.alert import AlertState
from tocsin.domain.errors import SourceFailure
from tocsin.domain.frame import Frame
from tocsin.domain.ports import AlertCounts
from tocsin.monitor.breaker import Circuit

BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0)


class Metrics:
    """The counters of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.evaluations = self._counter("evaluations", "Evaluations of targets that came to a result.")
        self.failures = Counter(
            "tocsin_evaluation_failures",
            "Evaluations that came to no result, by reason.",
            ["reason"],
            registry=self.registry,
        )
        for reason in (*SourceFailure, "store", "internal"):
            self.failures.labels(str(reason))
        self.overruns = self._counter(
            "evaluation_overruns", "Evaluations left out because the one before took too long."
        )
        self.samples = self._counter("samples_read", "Samples read from datasources.")
        self.anomalies = self._counter("anomalies", "Anomalies recorded.")
        self.suppressed = self._counter(
            "alerts_suppressed", "Alerts not begun because an evaluation reached its limit."
        )
        self.duration = Histogram(
            "tocsin_evaluation_duration_seconds",
            "Time from the query to the commit.",
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.lag = Gauge(
            "tocsin_lag_seconds",
            "How far the target furthest behind is: the age of its newest judged instant beyond what its offset, "
            "interval and step explain.",
            registry=self.registry,
        )
        self.series = Gauge("tocsin_series", "Series held in memory.", registry=self.registry)
        self.targets = Gauge("tocsin_targets", "Targets, by state.", ["state"], registry=self.registry)
        self.alerts = Gauge(
            "tocsin_alerts", "Alerts kept, by state; without those in shadow.", ["state"], registry=self.registry
        )
        self.shadow = Gauge(
            "tocsin_alerts_in_shadow", "Alerts that fire in the shadow of their targets.", registry=self.registry
        )
        self.running = Gauge("tocsin_monitoring_running", "1 while monitoring runs.", registry=self.registry)
        self.store_ok = Gauge("tocsin_store_ok", "1 while the store keeps what it is given.", registry=self.registry)

        self.queries = self._of_datasource("queries", "Questions put to a datasource.")
        self.answered = self._of_datasource("samples", "Samples that a datasource answered with.")
        self.size = self._of_datasource("bytes", "Size of its answers before they are decoded; 0 for this machine.")
        self.seconds = self._of_datasource("seconds", "Time that a datasource took to answer.")
        self.circuit = Gauge(
            "tocsin_datasource_circuit",
            "1 for the state of a datasource's circuit: closed (asked), open (left alone), half_open (one try).",
            ["datasource", "state"],
            registry=self.registry,
        )

    def asked(self, uid: str, frame: Frame | None, took_s: float) -> None:
        """Count a question to a datasource; None for one that came to no answer."""
        self.queries.labels(uid).inc(frame.queries if frame is not None else 1)
        self.answered.labels(uid).inc(frame.samples if frame is not None else 0)
        self.size.labels(uid).inc(frame.size_bytes if frame is not None else 0)
        self.seconds.labels(uid).inc(max(0.0, took_s))

    def forget_datasource(self, uid: str) -> None:
        """Show it no more: there are no more labels than datasources."""
        for counter in (self.queries, self.answered, self.size, self.seconds):
            with suppress(KeyError):
                counter.remove(uid)
        for state in Circuit:
            with suppress(KeyError):
                self.circuit.remove(uid, state.value)

    def show_circuit(self, uid: str, circuit: Circuit) -> None:
        """Take over whether a datasource is asked."""
        for state in Circuit:
            self.circuit.labels(uid, state.value).set(float(state is circuit))

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(f"tocsin_{name}", text, registry=self.registry)

    def _of_datasource(self, name: str, text: str) -> Counter:
        return Counter(f"tocsin_datasource_{name}", text, ["datasource"], registry=self.registry)

    def show_alerts(self, counts: AlertCounts) -> None:
        """Take over how many alerts there are."""
        for state in AlertState:
            self.alerts.labels(state.value).set(counts.by_state.get(state, 0))
        self.shadow.set(counts.shadow)

    def exposition(self) -> bytes:
        """All of them in Prometheus' text format."""
        return generate_latest(self.registry)
