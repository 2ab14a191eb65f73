"""Parts of lists and the way to the next part."""

from collections.abc import Sequence
from typing import Annotated, TypeVar
from urllib.parse import urlencode

from pydantic import Field
from starlette.requests import Request

from tocsin.api.models_common import RequestModel
from tocsin.domain.errors import Invalid
from tocsin.domain.labels import Labels
from tocsin.domain.ports import Page

T = TypeVar("T")

MOST_ITEMS = 1000
FURTHEST = 10_000_000


class PageQuery(RequestModel):
    """Which part of a list."""

    limit: Annotated[int, Field(ge=1, le=MOST_ITEMS, description="How many items at most.")] = 100
    offset: Annotated[int, Field(ge=0, le=FURTHEST, description="How many items to skip.")] = 0

    @property
    def page(self) -> Page:
        """The same for a port."""
        return Page(limit=self.limit, offset=self.offset)


def next_path(request: Request, page: Page, total: int) -> str | None:
    """Path and query of the part after `page`; None when it would be empty."""
    offset = page.offset + page.limit
    if offset >= total or offset > FURTHEST:
        return None
    pairs = [(name, value) for name, value in request.query_params.multi_items() if name != "offset"]
    return f"{request.url.path}?{urlencode([*pairs, ('offset', str(offset))])}"


def part_of(items: Sequence[T], page: Page) -> Sequence[T]:
    """The part of a list that is at hand whole."""
    return items[page.offset : page.offset + page.limit]


def labels_from(single: Sequence[str], joined: Sequence[str]) -> Labels:
    """Labels from `label=name=value` (one each) and `labels=name=value,name=value`."""
    pairs = [("label", text) for text in single]
    pairs += [("labels", text) for many in joined for text in _split(many)]
    labels: dict[str, str] = {}
    for field, text in pairs:
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or "\0" in text:
            raise Invalid(field, "must look like name=value")
        if labels.setdefault(name.strip(), value) != value:
            raise Invalid(field, f"asks for two different values of {name.strip()}: nothing can have both")
    return Labels(labels)


def _split(joined: str) -> list[str]:
    """Pieces at commas; a piece without `=` belongs to the value before it."""
    pieces: list[str] = []
    for piece in joined.split(","):
        if pieces and "=" not in piece:
            pieces[-1] += f",{piece}"
        else:
            pieces.append(piece)
    return pieces
