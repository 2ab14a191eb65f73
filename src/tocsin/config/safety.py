"""What Tocsin refuses to do: listen beyond this machine without a token, or with the token in the clear."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address

from tocsin.config.model import Problem, ServerConfig

Complain = Callable[[Problem], None]
SHORT_TOKEN = 16
"""A token with fewer characters is used, with a warning: it can be guessed."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`: localhost, 127.0.0.0/8 or ::1. Names are not looked up."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def check_server(server: ServerConfig, place: Problem, complain: Complain) -> None:
    """Note why a server must not start like this; `place` is where its `host` was said."""
    if (server.tls_cert is None) != (server.tls_key is None):
        missing = "--tls-key (server.tls_key)" if server.tls_key is None else "--tls-cert (server.tls_cert)"
        complain(replace(place, reason=f"TLS needs a certificate and its key: {missing} is missing"))
    if server.token is not None and not _usable(server.token.reveal()):
        complain(
            replace(
                place,
                field="token",
                reason="the API token must be printable characters without spaces; make one with: "
                "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'",
            )
        )
    if is_loopback(server.host):
        return
    shown = server.host or "an empty host"
    if server.token is None:
        complain(
            replace(
                place,
                reason=f"{shown} can be reached from other machines, which needs a token: set TOCSIN_API_TOKEN, "
                "TOCSIN_API_TOKEN_FILE or server.token_file",
            )
        )
    if server.tls_cert is None and server.tls_key is None and not server.behind_proxy:
        complain(
            replace(
                place,
                reason=f"{shown} can be reached from other machines, which needs TLS: pass --tls-cert FILE and "
                "--tls-key FILE, or --behind-proxy when a proxy in front of Tocsin does TLS",
            )
        )


def _usable(token: str) -> bool:
    return bool(token) and all("!" <= character <= "~" for character in token)
