"""Questions to the monitor about one target; nothing is kept."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from tocsin.detect import Pattern
from tocsin.domain.alert import AlertState
from tocsin.domain.errors import NotFound
from tocsin.domain.feedback import WindowKind
from tocsin.domain.frame import Window
from tocsin.domain.labels import Labels
from tocsin.domain.ports import AlertFilter, AnomalyFilter, History, Page, Store
from tocsin.domain.target import Target
from tocsin.monitor.backtest import NOTHING_ELSE, Asked, Progress
from tocsin.monitor.feedback import Feedback
from tocsin.monitor.gates import Gates
from tocsin.monitor.inquiry import Inquiry
from tocsin.monitor.marked import marked_times
from tocsin.monitor.status import BacktestResult, CheckResult, Plot, Question
from tocsin.monitor.watch import Watch

DATASOURCE = "datasource:"
"""The alert about a datasource is of a target that is named so."""


class Questions:
    """What of the monitor only asks: an `Inquiry` about targets by name."""

    _gates: Gates
    _inquiry: Inquiry
    _store: Store
    _watches: dict[str, Watch]
    feedback: Feedback

    async def look_up(self, name: str) -> None:
        """Raise `NotFound` where `name` is no target or datasource, and of none in the store either; `StoreError`."""
        source = name.removeprefix(DATASOURCE)
        known = self._gates.telling(source) is not None if source != name else name in self._watches
        if not known:
            await look_up_kept(self._store, name)

    async def check(self, name: str) -> CheckResult:
        """A dry run now; raises `NotFound`, `SourceError`."""
        watch = self._watch(name)
        return await self._inquiry.check(watch, self._gates.of(watch.target))

    async def plot(self, name: str, start: datetime | None, end: datetime | None, max_series: int) -> Plot:
        """The target's series over a window; raises `NotFound`, `Invalid`, `SourceError`."""
        target = self._watch(name).target
        return await self._inquiry.plot(target, self._gates.of(target), start, end, max_series)

    async def patterns(self, name: str) -> tuple[Window, Sequence[tuple[Labels, tuple[Pattern, ...]]]]:
        """The patterns of the target's series; raises `NotFound`, `SourceError`."""
        target = self._watch(name).target
        return await self._inquiry.patterns(target, self._gates.of(target))

    async def backtest(
        self,
        target: Target,
        start: datetime,
        end: datetime,
        progress: Progress = lambda _: None,
        question: Question = NOTHING_ELSE,
    ) -> BacktestResult:
        """What a target, saved or not, would have said; raises `Invalid`, `SourceError`.

        Where no incidents are given, it is held against those that people have marked.
        """
        targets = [target] if question.against is None else [target, question.against]
        for one in targets:
            self._gates.accept(one)
        asked = [Asked(one, self._gates.of(one), self.feedback.marked(one.name)) for one in targets]
        if not question.incidents:
            question = replace(question, incidents=marked_times(asked[0].marked, WindowKind.INCIDENT, start, end))
        return await self._inquiry.backtest(asked, start, end, question, progress)

    def _watch(self, name: str) -> Watch:
        watch = self._watches.get(name)
        if watch is None:
            raise NotFound(f"there is no target named {name!r}")
        return watch


async def look_up_kept(history: History, target_name: str) -> None:
    """Raise `NotFound` where no alert and no anomaly is kept of a target that is none any more; `StoreError`."""
    first = Page(limit=1)
    alerts = await history.alerts(AlertFilter(states=tuple(AlertState), target_name=target_name), first)
    if not alerts.total and not (await history.anomalies(AnomalyFilter(target_name=target_name), first)).total:
        raise NotFound(f"there is no target named {target_name!r}, and no alert or anomaly of one")
