"""The targets a new Tocsin begins with: this machine's (on), and the mission's four for a Prometheus (off)."""

from dataclasses import replace
from datetime import timedelta

from tocsin.config.model import HOST
from tocsin.detect import METHODS, Direction, Severity
from tocsin.domain.target import QueryType, Target

_SLOW = Target(
    name="",
    query="",
    datasource_uid=HOST,
    query_type=QueryType.HOST,
    check_interval=timedelta(seconds=10),
    step=timedelta(seconds=10),
    lookback=timedelta(hours=1),
    keep_firing_for=timedelta(minutes=5),
    detection_methods=METHODS,
    sigma_threshold=Severity.MEDIUM.sigma,
    direction=Direction.ABOVE,
    lower_bound=0.0,
)
"""What the patient targets of this machine have in common."""

_OFF = Target(
    name="",
    query="",
    datasource_uid="",
    check_interval=timedelta(seconds=300),
    enabled=False,
    pending_for=timedelta(minutes=2),
    direction=Direction.ABOVE,
    lower_bound=0.0,
)
"""What the mission's four have in common."""


def host_targets() -> tuple[Target, ...]:
    """The enabled targets of the `host` datasource; every name begins with `host_`.

    All but `host_process_cpu` wait for minutes and have a floor below which nothing matters: a package install, a
    browser or a compile makes every one of these numbers unusual, and none of them a problem. They name the four
    methods and fix the threshold: the floors decide here, not the dial, and what was measured for an hour of ordinary
    use was measured with these.
    """
    return (_process_cpu(), *_exhaustion(), *_saturation())


def _process_cpu() -> Target:
    # The only quick one. One core burnt by one process shows within 15 s here (the source averages over that long),
    # 6 s pending rule out the tail of a burst, and on a machine of any size the number is the same: cores, not shares.
    return Target(
        name="host_process_cpu",
        query="host_process_cpu_cores",
        datasource_uid=HOST,
        query_type=QueryType.HOST,
        check_interval=timedelta(seconds=2),
        step=timedelta(seconds=2),
        lookback=timedelta(seconds=600),
        pending_for=timedelta(seconds=6),
        keep_firing_for=timedelta(seconds=60),
        detection_methods=METHODS,
        direction=Direction.ABOVE,
        alert_above=0.85,
        min_effect=0.5,
        lower_bound=0.0,
        sigma_threshold=Severity.MEDIUM.sigma,
        description=(
            "One process keeps a whole core busy: cores used by the busiest process, averaged over 15 s, above 0.85 "
            "and at least half a core more than in the last ten minutes. Quick, so that a runaway loop shows within "
            "half a minute; a program that always works this hard becomes what is expected of this machine."
        ),
    )


def _exhaustion() -> tuple[Target, ...]:
    """What runs out: memory, swap, disk space. Unusual is not enough, it must be nearly gone."""
    return (
        replace(
            _SLOW,
            name="host_memory",
            query="host_memory_used_ratio",
            pending_for=timedelta(minutes=2),
            alert_above=0.9,
            min_effect=0.05,
            upper_bound=1.0,
            description=(
                "Memory is nearly full: above 90 % (caches not counted) and five points more than in the last hour, "
                "for two minutes. Below that the machine still has room, however unusual the number."
            ),
        ),
        replace(
            _SLOW,
            name="host_swap",
            query="host_swap_used_ratio",
            check_interval=timedelta(seconds=30),
            step=timedelta(seconds=30),
            pending_for=timedelta(minutes=5),
            keep_firing_for=timedelta(minutes=10),
            alert_above=0.5,
            min_effect=0.1,
            upper_bound=1.0,
            description=(
                "Swap fills up: above half and ten points more than in the last hour, for five minutes. Some swap in "
                "use is ordinary on a machine that has been up for long; half of it, newly, means memory ran short."
            ),
        ),
        replace(
            _SLOW,
            name="host_disk_space",
            query="host_disk_used_ratio",
            check_interval=timedelta(seconds=60),
            step=timedelta(seconds=60),
            lookback=timedelta(hours=2),
            pending_for=timedelta(minutes=5),
            keep_firing_for=timedelta(minutes=10),
            alert_above=0.9,
            min_effect=0.02,
            upper_bound=1.0,
            description=(
                "A file system fills up: above 90 % and two points more than in the last two hours, for five minutes. "
                "A disk that has been this full for long does not alert, one that is being filled does; five minutes "
                "let the temporary files of an install or a build come and go."
            ),
        ),
    )


def _saturation() -> tuple[Target, ...]:
    """What is overworked: it must last, because work is what a machine is for."""
    return (
        replace(
            _SLOW,
            name="host_cpu",
            query="host_cpu_ratio",
            pending_for=timedelta(minutes=10),
            alert_above=0.9,
            min_effect=0.2,
            upper_bound=1.0,
            description=(
                "All cores are busy: above 90 % in total and twenty points more than in the last hour, without a "
                "break for ten minutes. A compile has pauses (linking, reading) that end the wait; a stuck fleet of "
                "workers has none."
            ),
        ),
        replace(
            _SLOW,
            name="host_load",
            query="host_load1_per_core",
            pending_for=timedelta(minutes=10),
            alert_above=4.0,
            min_effect=2.0,
            description=(
                "Far more work waits than the cores can do: load above four per core and two more than in the last "
                "hour, for ten minutes. One to two per core is what a parallel build makes on purpose."
            ),
        ),
        replace(
            _SLOW,
            name="host_disk_busy",
            query="host_disk_busy_ratio",
            pending_for=timedelta(minutes=15),
            alert_above=0.95,
            min_effect=0.3,
            upper_bound=1.0,
            description=(
                "A disk is never idle: busy more than 95 % of the time and thirty points more than in the last hour, "
                "for a quarter of an hour. Copies and backups are shorter or leave gaps; a failing disk or a thrashing "
                "machine does neither."
            ),
        ),
        replace(
            _SLOW,
            name="host_network_errors",
            query="host_network_errors_per_second",
            pending_for=timedelta(minutes=5),
            alert_above=1.0,
            min_effect=1.0,
            description=(
                "A network interface loses packets: more than one error a second for five minutes. Single errors "
                "happen when a link comes up; a steady rate is a cable, a driver or a full queue."
            ),
        ),
    )


_REQUESTS = "sum by (job, instance) (rate(http_requests_total[5m]))"
_FAILED = 'sum by (job, instance) (rate(http_requests_total{status=~"5.."}[5m]))'
# `or 0 *`: an instance that never failed has no 5xx series, and that is a ratio of nothing, not a gap.
# `> 0.05`: below 15 requests in five minutes a ratio says nothing (and 0/0 is no number): that is a gap.
_ERROR_RATIO = f"({_FAILED} or 0 * {_REQUESTS}) / ({_REQUESTS} > 0.05)"
_P95 = "histogram_quantile(0.95, sum by (le, job, instance) (rate(http_request_duration_seconds_bucket[5m])))"
_CPU = '1 - avg by (job, instance) (rate(node_cpu_seconds_total{mode="idle"}[5m]))'
_MEMORY = "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes"


def prometheus_targets(uid: str) -> tuple[Target, ...]:
    """The mission's four targets for the Prometheus datasource `uid`, disabled: which metrics it holds is not known."""
    return (
        replace(
            _OFF,
            name="error_rate",
            query=_ERROR_RATIO,
            datasource_uid=uid,
            min_effect=0.01,
            upper_bound=1.0,
            description=(
                "Share of HTTP requests answered with 5xx, per instance: one point more than expected for two "
                "minutes. Instances with fewer than 15 requests in five minutes are a gap. Expects "
                "http_requests_total with a `status` label."
            ),
        ),
        replace(
            _OFF,
            name="response_time_p95",
            query=_P95,
            datasource_uid=uid,
            min_effect=0.05,
            min_effect_ratio=0.2,
            description=(
                "The response time in seconds that 95 % of HTTP requests stay under, per instance: 50 ms and a fifth "
                "more than expected for two minutes. Expects the histogram http_request_duration_seconds."
            ),
        ),
        replace(
            _OFF,
            name="cpu_usage",
            query=_CPU,
            datasource_uid=uid,
            check_interval=timedelta(seconds=180),
            min_effect=0.2,
            upper_bound=1.0,
            description=(
                "Share of all cores in use, per instance of the node exporter: twenty points more than expected for "
                "two minutes."
            ),
        ),
        replace(
            _OFF,
            name="memory_usage",
            query=_MEMORY,
            datasource_uid=uid,
            min_effect=0.05,
            upper_bound=1.0,
            description=(
                "Share of memory in use (caches not counted), per instance of the node exporter: five points more "
                "than expected for two minutes."
            ),
        ),
    )
