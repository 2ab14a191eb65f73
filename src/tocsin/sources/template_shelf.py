"""Where the templates of a datasource's queries are kept: a bounded number of places in the store's settings."""

from tocsin.domain.errors import LimitExceeded, StoreError
from tocsin.domain.ports import SettingStore
from tocsin.sources.template_miner import Miner

MAX_QUERIES = 20
"""Queries of one datasource whose templates are known."""

FREE_AFTER_NS = 86400 * 10**9
"""A query that was not asked for so long gives its place to another one."""

SAVED_EVERY_NS = 600 * 10**9


class Shelf:
    """Miners by query; what they know outlives the process where there is a store."""

    def __init__(self, uid: str, store: SettingStore | None) -> None:
        self._uid, self._store = uid, store
        self._places: list[Miner | None] | None = None
        self._saved: dict[int, int] = {}

    async def miner(self, query: str, end: int) -> Miner:
        """The miner of a query that is asked up to `end` (unix ns). Raises LimitExceeded when there is no place."""
        places = await self._loaded()
        known = self.known(query)
        if known is not None:
            return known
        free = [place for place, miner in enumerate(places) if miner is None or miner.asked < end - FREE_AFTER_NS]
        if not free:
            raise LimitExceeded(
                f"templates of {MAX_QUERIES} queries are kept for a datasource; give up one for a day, or declare the "
                "datasource again under another uid",
                asked=False,
            )
        miner = Miner(query)
        miner.asked = end
        places[free[0]] = miner
        return miner

    async def kept(self, query: str) -> Miner | None:
        """The miner of a query, also when nobody has asked for it since the start. Raises StoreError."""
        await self._loaded()
        return self.known(query)

    def known(self, query: str) -> Miner | None:
        """The miner of a query that was asked before."""
        return next((miner for miner in self._places or () if miner is not None and miner.query == query), None)

    async def keep(self, miner: Miner) -> None:
        """Save what a miner knows when that has changed, and every ten minutes of data. Raises StoreError."""
        if self._store is None or self._places is None or miner not in self._places:
            return
        place = self._places.index(miner)
        if not miner.changed and miner.asked < self._saved.get(place, 0) + SAVED_EVERY_NS:
            return
        await self._store.save_setting(self._key(place), miner.text())
        miner.changed = False
        self._saved[place] = miner.asked

    async def _loaded(self) -> list[Miner | None]:
        if self._places is None:
            try:
                self._places = [await self._read(place) for place in range(MAX_QUERIES)]
            except StoreError as error:
                raise StoreError(
                    f"the templates that are known cannot be read from the store: {error}", transient=error.transient
                ) from error
        return self._places

    async def _read(self, place: int) -> Miner | None:
        text = None if self._store is None else await self._store.setting(self._key(place))
        return None if text is None else Miner.of(text)

    def _key(self, place: int) -> str:
        return f"templates.{self._uid}.{place}"
