"""Which label of log streams names the services that write them, and what a store of logs has of them. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tocsin.domain.catalogue import Looked
from tocsin.domain.labels import Labels
from tocsin.domain.suggest import MOST_VALUES, apart

SERVICE = (
    "service_name", "service", "app", "application", "app_name", "name", "app_kubernetes_io_name", "container",
    "container_name", "k8s_container_name", "component", "workload", "job", "k8s_job_name", "unit", "systemd_unit",
    "namespace", "k8s_namespace_name",
)  # fmt: skip
"""Labels that name what writes lines, the best first: what Loki itself calls the service (from 3.0 on), then the labels
it takes that from, in its order (`discover_service_name`), then what a machine or a cluster calls its parts.
"""

WHERE = (
    "cluster", "k8s_cluster_name", "deployment_environment", "environment", "env", "namespace", "k8s_namespace_name",
)  # fmt: skip
"""A service elsewhere is another one: these are kept apart beside it, as long as that makes few series."""

UNKNOWN = "unknown_service"
"""What Loki says where it found no name."""

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Services:
    """The streams that targets are made of: `selector` picks them, `label` names their service, None where none does
    (then all lines are added up). `by` are the labels that are kept. `notes` say what is not covered, and why.
    """

    selector: str
    label: str | None
    by: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LogCatalogue:
    """The streams of the last hour, of `total` that there are, and the lines a minute of each service in it.

    `services` None: there is no stream. `lines` None: it was not answered, which the notes say. `levels`: whether lines
    have one. `notes` say what was left out.
    """

    streams: tuple[Labels, ...]
    total: int
    services: Services | None = None
    lines: Mapping[str, float] | None = field(default_factory=dict)
    levels: bool = False
    notes: tuple[str, ...] = ()

    @property
    def looked(self) -> Looked:
        """How much that is."""
        return Looked("streams", len(self.streams), self.total, self.notes)


def plain_label(name: str) -> bool:
    """Whether a label can stand in LogQL; those that begin with two underscores are Loki's own."""
    return _PLAIN.fullmatch(name) is not None and not name.startswith("__")


def services_of(streams: Sequence[Labels]) -> Services | None:
    """The first label of `SERVICE` that tells at least two services apart, else the first that names one.

    It must be there on half of the streams and have at most `MOST_VALUES` values. None where there are no streams.
    """
    values = {name: _values(streams, name) for name in SERVICE}
    known = [name for name in SERVICE if 2 * sum(name in one for one in streams) >= max(1, len(streams))]
    few = [name for name in known if 1 <= len(values[name]) <= MOST_VALUES]
    label = next((name for name in few if len(values[name]) >= 2), next(iter(few), None))
    many = next((name for name in known if len(values[name]) > MOST_VALUES), None)
    notes = []
    if many is not None and (label is None or SERVICE.index(many) < SERVICE.index(label)):
        instead = f"services are told apart by {label}" if label else "all lines are added up"
        notes.append(f"{many} has {len(values[many]):,} values, more than {MOST_VALUES}: {instead}")
    elif label is None and streams:
        notes.append(f"no label names the services of most streams ({', '.join(SERVICE[:4])}, …): all are added up")
    widest = label or many or _widest(streams)
    if widest is None:
        return None
    covered = [one for one in streams if one.get(widest)]
    left = len(streams) - len(covered)
    if left:
        notes.append(f"{left:,} of {len(streams):,} streams have no label {widest}: their lines are not covered")
    by = () if label is None else apart(covered, dict.fromkeys((label, *WHERE)), always=label)
    return Services(f'{{{widest}=~".+"}}', label, by, tuple(notes))


def _values(streams: Sequence[Labels], name: str) -> frozenset[str]:
    return frozenset(one[name] for one in streams if one.get(name) and one[name] != UNKNOWN)


def _widest(streams: Sequence[Labels]) -> str | None:
    """The label that most streams have."""
    counts: dict[str, int] = {}
    for one in streams:
        for name in filter(plain_label, one):
            counts[name] = counts.get(name, 0) + bool(one[name])
    return max(sorted(counts), key=counts.__getitem__, default=None)
