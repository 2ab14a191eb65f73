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
        ("Authorization: Bearer hunter2hunter2", "Authorization: ***"),
        ("authorization=Token hunter2 and more", "authorization=***"),
        ('{"Authorization":"Digest response=hunter2","n":1}', '{"Authorization":***,"n":1}'),
        ("got Bearer hunter2hunter2 today", "got Bearer *** today"),
        ("Cookie: theme=dark; sid=hunter2", "Cookie: ***"),
        (r'{"password":"ab\"cd-hunter2","n":1}', '{"password":***,"n":1}'),
        (r"{\"password\":\"hunter2\",\"n\":1}", r"{\"password\":***,\"n\":1}"),
        ('{"pwd":{"v":"hunter2"}}', '{"pwd":***}'),
        ("mysql --password hunter2 -u ann", "mysql --password *** -u ann"),
        ("the password is hunter2", "the password is ***"),
        ("passphrase: hunter2", "passphrase: ***"),
        ("private_key=hunter2&n=1", "private_key=***&n=1"),
        ("X-Auth-Token: hunter2", "X-Auth-Token: ***"),
        ("client_secret%3Dhunter2", "client_secret%3D***"),
        ("dial ann:hunter2@db failed", "dial *** failed"),
        ("pass\0word=hunter2", "password=***"),
        ("author: ann, tokens 3, passing by", "author: ann, tokens 3, passing by"),
        ("to ann@example.org now", "to *** now"),
        ("paid with 4111 1111 1111 1111", "paid with ***"),
        ("see https://ann:hunter2@evil.example/x?y=z", "see <link>"),
        ("-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY----- kept", "*** kept"),
        ("-----BEGIN PRIVATE KEY-----\nhunter2", "***"),
        ("a\x1b[31m\tb\r\nc\u202e", "a[31m b c"),
    ],
)
def test_secrets_links_and_control_characters_are_taken_out(text, shown):
    assert clean(text, 100) == shown


def test_it_is_bounded():
    assert clean("x" * 10**6, 10) == "x" * 9 + "…"
    assert clean("x" * 10, 10) == "x" * 10
