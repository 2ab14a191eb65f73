"""What no server can take as the text of a query. Pure."""

from tocsin.domain.errors import Invalid

MAX_QUERY_CHARACTERS = 64 * 1024


def check_text(query: str) -> None:
    """Raise `Invalid("query", why)` for text that is none."""
    if not query.strip():
        raise Invalid("query", "must not be empty")
    if len(query) > MAX_QUERY_CHARACTERS:
        raise Invalid("query", f"is longer than {MAX_QUERY_CHARACTERS:,} characters")
    if any((ord(each) < 32 and each not in "\t\r\n") or ord(each) == 127 for each in query):
        raise Invalid("query", "must not hold control characters")
    if not query.isascii():
        try:
            query.encode()
        except UnicodeEncodeError:
            raise Invalid("query", "must be text that UTF-8 can hold") from None
