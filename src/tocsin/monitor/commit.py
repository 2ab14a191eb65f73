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


class Committer:
    """Group commit: what arrives while a transaction runs goes into the next one. Saved means kept: `save` returns
    after the commit.
    """

    def __init__(self, log: AlertLog, on_commit: Callable[[], None]) -> None:
        self._log = log
        self._on_commit = on_commit
        self._waiting: list[tuple[Evaluation, asyncio.Future[None]]] = []
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
                await self._save(batch)
        finally:
            self._flushing = None

    async def _save(self, batch: list[tuple[Evaluation, asyncio.Future[None]]]) -> bool:
        """Keep them and tell who waits; whether any was kept."""
        failure = await self._try([evaluation for evaluation, _ in batch])
        if failure is not None and not failure.transient and len(batch) > 1:
            # One of them may be what can never be kept: one by one, the others are.
            kept = [await self._save([one]) for one in batch]
            if any(kept):
                self.worked()
            return any(kept)
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
        return failure is None

    async def _try(self, evaluations: list[Evaluation]) -> StoreError | None:
        try:
            await self._log.save_evaluations(evaluations)
        except StoreError as error:
            return error
        except Exception as error:
            # Whatever it was: those who wait are told, and the others of the batch get their own chance.
            log.exception("the store failed in a way of its own", evaluations=len(evaluations))
            return StoreError(f"the store failed with {type(error).__name__}: {error}", transient=False)
        return None
