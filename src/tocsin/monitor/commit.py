"""Evaluations that finish together share a transaction."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

import structlog

from tocsin.domain.alert import Alert, Reason
from tocsin.domain.errors import StoreError
from tocsin.domain.evaluation import Evaluation, conclude
from tocsin.domain.ports import AlertLog, StoreHealth

log = structlog.get_logger(__name__)

BATCH = 200

_Batch = list[tuple[Evaluation, asyncio.Future[None]]]


class Committer:
    """Group commit: what arrives while a transaction runs goes into the next one. Saved means kept: `save` returns
    after the commit.
    """

    def __init__(self, log: AlertLog, on_commit: Callable[[], None]) -> None:
        self._log = log
        self._on_commit = on_commit
        self._waiting: _Batch = []
        self._flushing: asyncio.Task[None] | None = None
        self._owed: list[Evaluation] = []
        self.health = StoreHealth(ok=True, detail="nothing failed")

    async def save(self, evaluation: Evaluation) -> None:
        """Keep it; raises `StoreError` when it was not kept."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((evaluation, future))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        await future

    async def end(self, alerts: Iterable[Alert], reason: Reason, target_name: str, at: datetime) -> None:
        """End alerts whose target or datasource is gone, off or another now. That much is done and kept already: where
        the store fails in between the end is owed, and `settle` keeps it, or the next start.
        """
        await self.save_or_owe(conclude(list(alerts), reason, target_name, at))

    async def save_or_owe(self, evaluation: Evaluation) -> None:
        """Keep what follows from an edit that is kept already, now or as soon as the store can."""
        if evaluation.quiet:
            return
        try:
            await self.save(evaluation)
        except StoreError as error:
            self._owed.append(evaluation)
            log.error("a change of alerts is not kept yet", target=evaluation.target_name, error=str(error))

    async def settle(self) -> None:
        """Keep what is owed; raises the last `StoreError` when some of it cannot be yet."""
        failure: StoreError | None = None
        for evaluation in list(self._owed):
            try:
                await self.save(evaluation)
            except StoreError as error:
                failure = error
            else:
                self._owed.remove(evaluation)
        if failure is not None:
            raise failure

    def failed(self, error: StoreError) -> None:
        """Take note that the store did not keep something."""
        self.health = replace(self.health, ok=False, detail=str(error))

    def worked(self) -> None:
        """Take note that the store kept something; what a probe found out about it stays."""
        if not self.health.ok:
            self.health = replace(self.health, ok=True, detail="keeps what it is given again")

    async def _flush(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
                failure = await self._once(batch)
                if failure is None or failure.transient or len(batch) == 1:
                    self._tell(batch, failure)
                    continue
                # One of them may be what can never be kept: one by one, the others are.
                failures = [(one, await self._once([one])) for one in batch]
                for one, why in failures:
                    self._tell([one], why)
                if not all(why for _, why in failures):
                    self.worked()
        finally:
            self._flushing = None

    async def _once(self, batch: _Batch) -> StoreError | None:
        try:
            await self._log.save_evaluations([evaluation for evaluation, _ in batch])
        except StoreError as error:
            return error
        except Exception as error:
            # The top of the loop: whatever it was, those who wait are told, and the loop goes on.
            log.exception("the store failed in a way of its own", evaluations=len(batch))
            return StoreError(f"the store failed with {type(error).__name__}: {error}", transient=False)
        return None

    def _tell(self, batch: _Batch, failure: StoreError | None) -> None:
        """Tell who waits whether it was kept."""
        if failure is None:
            self.worked()
            self._on_commit()
        else:
            self.failed(failure)
        for _, future in batch:
            if future.done():
                continue
            if failure is None:
                future.set_result(None)
            else:
                future.set_exception(failure)
