"""Who may ask: token, names of a loopback server, pages of other sites; nothing of an image is told to anybody."""

import base64

import pytest
from serving import OWN, ask, form, picture, running

from svertka.errors import ConfigError
from svertka.serve.access import Access, is_loopback
from svertka.serve.limits import Limits

TOKEN = "correct-horse-battery"
SITE = "https://example.org"


@pytest.fixture(scope="module")
def guarded(tiny_bundle):
    """A server with a token, and a site whose pages may ask."""
    access = Access(token=TOKEN, loopback=False, origins=frozenset({SITE}))
    with running({"tiny": tiny_bundle.directory}, access=access, limits=Limits(grace_seconds=0.0)) as found:
        yield found


def bearer(token: str = TOKEN) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def basic(password: str, user: str = "any") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.mark.parametrize("headers", [bearer(), {"Authorization": f"bearer  {TOKEN} "}, basic(TOKEN), basic(TOKEN, "")])
def test_the_token_opens(guarded, headers):
    assert guarded.predict(picture(), **headers).status == 200


@pytest.mark.parametrize(
    "headers",
    [{}, bearer(""), bearer(TOKEN[:-1]), bearer(TOKEN + "x"), basic("x"), basic("", TOKEN),
     {"Authorization": "Basic ???"}, {"Authorization": TOKEN}, {"Authorization": f"Digest {TOKEN}"},
     {"Authorization": "Bearer ÿÿ"}],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/v1/model", "/metrics", "/", "/openapi.json", "/none"])
def test_nothing_else_opens(guarded, headers, path):
    answer = guarded.ask("GET", path, headers=headers)
    assert (answer.status, answer.problem) == (401, "no-token")
    assert answer.headers["www-authenticate"].startswith("Basic realm=")  # the last line of two


def test_a_wrong_token_costs_no_body(guarded):
    answer = guarded.predict(bytes(9_000_000))
    assert (answer.status, answer.headers["connection"]) == (401, "close")
    assert guarded.service.held.taken == 0


def test_health_needs_no_token(guarded):
    assert guarded.ask("GET", "/healthz").status == guarded.ask("GET", "/readyz").status == 200


@pytest.mark.parametrize("token", ["", "short", "x" * 15, "with\nbreak-and-more-", "кириллица" * 3])
def test_a_server_for_others_needs_a_good_token(token):
    with pytest.raises(ConfigError, match="token"):
        Access(token=token, loopback=False)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.8.8.8", "::1"])
def test_loopback_names(host):
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.0.1", "example.org", "localhost.example.org", "127.0.0.1.nip.io", ""]
)
def test_other_names(host):
    assert not is_loopback(host)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[::2]:1", "localhost.evil"]
)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/predict"), ("GET", "/v1/model"), ("GET", "/"), ("GET", "/healthz")]
)
def test_a_rebound_name_is_refused(server, host, method, path):
    answer = server.ask(method, path, picture() if method == "POST" else None, {"Host": host})
    assert (answer.status, answer.problem) == (421, "wrong-host")


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1:8000", "[::1]:8000", "[::1]"])
def test_names_of_this_machine_are_served(server, host):
    assert server.predict(picture(), Host=host).status == 200


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://localhost:1"}, {"Origin": ""},
     {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/v1/predict", "/v1/explain", "/none"])
def test_pages_of_other_sites_cannot_post(server, headers, path):
    answer = server.ask("POST", path, picture(), headers)
    assert (answer.status, answer.problem) == (403, "other-site")
    assert "access-control-allow-origin" not in answer.headers


def test_the_servers_own_page_can(server):
    own = f"{OWN}:{server.port}"
    for headers in ({"Origin": f"http://{own}"}, {"Origin": f"https://{own}"}, {"Sec-Fetch-Site": "same-origin"}):
        assert server.predict(picture(), **headers).status == 200


def test_without_cors_no_page_is_told_that_it_may(server):
    asked = {"Origin": SITE, "Access-Control-Request-Method": "POST"}
    assert server.ask("OPTIONS", "/v1/predict", headers=asked).status == 403
    answer = server.ask("GET", "/v1/model", headers={"Origin": SITE})
    assert answer.status == 200 and "access-control-allow-origin" not in answer.headers


def test_an_allowed_site_may_ask(guarded):
    asked = {"Origin": SITE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    preflight = guarded.ask("OPTIONS", "/v1/predict", headers=asked)
    assert preflight.status == 204
    assert preflight.headers["access-control-allow-origin"] == SITE
    assert "Authorization" in preflight.headers["access-control-allow-headers"]
    answer = guarded.predict(picture(), Origin=SITE, **bearer())
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, SITE)
    assert answer.headers["vary"] == "Origin"
    refused = guarded.predict(picture(), Origin=SITE)
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, SITE)
    other = guarded.predict(picture(), Origin="https://evil.example", **bearer())
    assert other.status == 403 and "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize(
    "origin", ["*", "example.org", "https://example.org/", "https://", "null", "https://a@b", "ftp://a", "https://[x"]
)
def test_an_origin_must_be_one(origin):
    with pytest.raises(ConfigError, match="--cors"):
        Access(origins=frozenset({origin}))


def test_nothing_of_an_image_or_its_name_is_kept(tiny_bundle, capfd, caplog):
    caplog.set_level(0)
    with running({"tiny": tiny_bundle.directory}) as found:
        body, headers = form([("secret-name.png", picture()), ("secret-name.txt", b"secret-content")])
        assert found.ask("POST", "/v1/predict", body, headers).status == 200
        found.ask("POST", "/secret-name?secret-name=1", body, headers)
        found.predict(b"secret-content", "?model=secret-name")
        metrics = ask(found.port, "GET", "/metrics").body.decode()
        told = str(found.told)
    written = "".join(capfd.readouterr()) + caplog.text + metrics + told
    assert "secret" not in written
