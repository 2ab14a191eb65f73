"""What lasts: `tocsin.domain.ports.Store` over SQLite or PostgreSQL, and the fake that ships beside them."""

from tocsin.store.memory import MemoryStore
from tocsin.store.open import SqlStore, open_store

__all__ = ["MemoryStore", "SqlStore", "open_store"]
