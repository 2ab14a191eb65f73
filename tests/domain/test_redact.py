"""What foreign text is allowed to keep: one line, bounded, without what could be a secret."""

import pytest

from tocsin.domain.redact import clean


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("took 12 ms", "took 12 ms"),
        ("password=hunter2 rest", "password=*** rest"),
        ('{"api_key": "hunter2", "n": 1}', '{"api_key": ***, "n": 1}'),
        ('secret="hunter2 and its end is cut', "secret=***"),
        ("Authorization: Bearer hunter2hunter2", "Authorization: Bearer ***"),
        ("to ann@example.org now", "to *** now"),
        ("paid with 4111 1111 1111 1111", "paid with ***"),
        ("see https://ann:hunter2@evil.example/x?y=z", "see <link>"),
        ("-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY----- kept", "*** kept"),
        ("-----BEGIN PRIVATE KEY-----\nhunter2", "***"),
        ("a\x1b[31m\tb\r\nc\u202e", "a [31m b c"),
    ],
)
def test_secrets_links_and_control_characters_are_taken_out(text, shown):
    assert clean(text, 100) == shown


def test_it_is_bounded():
    assert clean("x" * 10**6, 10) == "x" * 9 + "…"
    assert clean("x" * 10, 10) == "x" * 10
