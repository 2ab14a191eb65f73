"""Evaluations that finish together share a transaction."""

import asyncio
from collections.abc import Callable

from tocsin.domain.errors import StoreError
from tocsin.domain.evaluation import Evaluation
from tocsin.domain.ports import AlertLog, StoreHealth

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
        self.health = StoreHealth(ok=True, detail="nothing failed")

    async def save(self, evaluation: Evaluation) -> None:
        """Keep it; raises `StoreError` when it was not kept."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((evaluation, future))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        await future

    def failed(self, error: StoreError) -> None:
        """Take note that the store did not keep something."""
        self.health = StoreHealth(ok=False, detail=str(error))

    def worked(self) -> None:
        """Take note that the store kept something."""
        self.health = StoreHealth(ok=True, detail="ok")

    async def _flush(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
                await self._save(batch)
        finally:
            self._flushing = None

    async def _save(self, batch: list[tuple[Evaluation, asyncio.Future[None]]]) -> None:
        failure: StoreError | None = None
        try:
            await self._log.save_evaluations([evaluation for evaluation, _ in batch])
        except StoreError as error:
            failure = error
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
