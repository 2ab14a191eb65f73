"""Label sets and their fingerprints."""

from collections.abc import ItemsView, Iterator, Mapping
from functools import lru_cache
from hashlib import blake2b
from sys import intern
from typing import NewType

Fingerprint = NewType("Fingerprint", str)
"""Sixteen hex digits that identify a label set, the same in every process and version."""


@lru_cache(maxsize=4096)
def _shared(names: tuple[str, ...]) -> tuple[str, ...]:
    """One copy of the names, which are the same for all series of a metric."""
    return names


class Labels(Mapping[str, str]):
    """An immutable, hashable label set, kept sorted by name."""

    __slots__ = ("_fingerprint", "_names", "_values")

    def __init__(self, labels: Mapping[str, str] | None = None) -> None:
        given = labels or {}
        # Names and values repeat across thousands of series: one copy of each is enough.
        self._names = _shared(tuple(sorted(intern(name) for name in given)))
        self._values = tuple(intern(given[name]) for name in self._names)
        self._fingerprint: Fingerprint | None = None

    @property
    def fingerprint(self) -> Fingerprint:
        """Identity of the label set: BLAKE2b over the sorted pairs, separated by bytes no label contains."""
        if self._fingerprint is None:
            data = b"\xff".join(f"{k}\xfe{v}".encode("utf-8", "surrogatepass") for k, v in self.items())
            self._fingerprint = Fingerprint(blake2b(data, digest_size=8).hexdigest())
        return self._fingerprint

    def without(self, *names: str) -> "Labels":
        """The same labels less the named ones."""
        return Labels({k: v for k, v in self.items() if k not in names})

    def __getitem__(self, name: str) -> str:
        if name not in self._names:
            raise KeyError(name)
        return self._values[self._names.index(name)]

    def items(self) -> ItemsView[str, str]:
        """Names with their values, by name."""
        return dict(zip(self._names, self._values, strict=True)).items()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __hash__(self) -> int:
        return hash((self._names, self._values))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Labels):
            return self._values == other._values and self._names == other._names
        return Mapping.__eq__(self, other)

    def __str__(self) -> str:
        """PromQL form: `name{a="b"}`."""
        quoted = (f"{k}={_quote(v)}" for k, v in self.items() if k != "__name__")
        return f"{self.get('__name__', '')}{{{', '.join(quoted)}}}"

    def __repr__(self) -> str:
        return f"Labels({dict(self)!r})"


def _quote(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
