"""TLS: an authority of our own, client certificates, and what is not trusted."""

import ssl
import subprocess

import pytest

from tests.sources.faulty import EMPTY, WINDOW, F, saying, serve
from tocsin.domain.errors import Invalid, SourceError
from tocsin.sources.http_settings import HttpSettings
from tocsin.sources.prometheus import PrometheusSource


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """An authority of our own and a server certificate by it, from the openssl command."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test CA", "-days", "2")
    for name in ("server", "client"):
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (folder / "ext").write_text("subjectAltName=IP:127.0.0.1\n")
        sign = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "ext"]
        openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *sign)
    return folder


async def test_own_authority_client_certificate_and_insecure(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "server.pem", authority / "server.key")
    context.load_verify_locations(authority / "ca.pem")
    ca = str(authority / "ca.pem")

    async def ask(port, **more):
        source = PrometheusSource("p", HttpSettings(f"https://127.0.0.1:{port}", retries=0, **more))
        try:
            return await source.query_range("up", WINDOW)
        finally:
            await source.close()

    async with serve(saying(200, EMPTY), ssl_context=context) as port:
        assert (await ask(port, ca_file=ca)).labels == ()
        assert (await ask(port, tls_insecure=True)).labels == ()
        with pytest.raises(SourceError, match="certificate not trusted") as caught:
            await ask(port)
        assert (caught.value.failure, caught.value.transient) == (F.UNREACHABLE, False)
        with pytest.raises(SourceError, match="TLS files") as caught:
            await ask(port, ca_file=str(authority / "missing.pem"))
        assert not caught.value.transient
        context.verify_mode = ssl.CERT_REQUIRED
        pair = {"client_cert_file": str(authority / "client.pem"), "client_key_file": str(authority / "client.key")}
        assert (await ask(port, ca_file=ca, **pair)).labels == ()
        with pytest.raises(SourceError):
            await ask(port, ca_file=ca)


async def test_plain_server_behind_https_url():
    async with serve(saying(200, EMPTY)) as port:
        source = PrometheusSource("p", HttpSettings(f"https://127.0.0.1:{port}", retries=0))
        with pytest.raises(SourceError, match="TLS") as caught:
            await source.query_range("up", WINDOW)
        assert caught.value.failure is F.UNREACHABLE
        await source.close()


@pytest.mark.parametrize(
    ("field", "more"),
    [
        ("url", {"url": "127.0.0.1:9090"}),
        ("url", {"url": "ftp://host"}),
        ("url", {"url": "http://"}),
        ("url", {"url": "http://host:99999"}),
        ("url", {"url": "http://host/?a=b"}),
        ("url", {"url": "http://host/a b"}),
        ("bearer_token", {"bearer_token": "a", "username": "b"}),
        ("headers", {"bearer_token": "a\r\nX: y"}),
        ("headers", {"headers": (("Bad name", "x"),)}),
        ("headers", {"headers": (("X", "a\nb"),)}),
        ("timeout_s", {"timeout_s": 0.0}),
        ("max_response_bytes", {"max_response_bytes": 1}),
        ("max_connections", {"max_connections": 0}),
        ("retries", {"retries": -1}),
        ("client_cert_file", {"client_key_file": "x"}),
    ],
)
def test_settings_that_cannot_be(field, more):
    with pytest.raises(Invalid) as caught:
        HttpSettings(**{"url": "http://host", **more})
    assert caught.value.field == field


def test_settings_never_show_secrets():
    each = HttpSettings("http://me:url-secret@host:1/p/", headers=(("X-Key", "head-secret"),), tls_insecure=True)
    assert repr(each) == str(each) == "HttpSettings(url='http://host:1/p', …)"
    said = each.redact("http://me:url-secret@host/ url-secret head-secret bWU6dXJsLXNlY3JldA==")
    assert said == "http://host/ *** *** ***"
    assert HttpSettings("http://[::1]:9090").base_url == "http://[::1]:9090/"
    assert HttpSettings("http://[::1]:9090").request_headers()["Accept-Encoding"] == "identity"
    assert HttpSettings("http://far:9090").request_headers()["Accept-Encoding"] == "gzip, deflate"
