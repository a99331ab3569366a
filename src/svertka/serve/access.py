"""Who may ask: the token, the names of a loopback server (DNS rebinding), and pages of other sites."""

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from svertka.errors import ConfigError
from svertka.serve.problems import Problem

LEAST_TOKEN = 16
"""Characters."""

_OPEN = frozenset({"/healthz", "/readyz"})
_CHALLENGES = ("Bearer", 'Basic realm="svertka", charset="UTF-8"')
"""Each in a line of its own: Chromium knows no second one in a line, and so wouldn't ask for the token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Rules of one server.

    Attributes:
        token: that every request but those for health must bring; "" asks for none.
        loopback: whether the server listens to this machine alone; then requests must address it by such a name.
        origins: of pages elsewhere that may ask, as ``https://example.org``.
    """

    token: str = ""
    loopback: bool = True
    origins: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not self.loopback and not self.token:
            raise ConfigError(
                "a server that others can reach needs a token, and none was given; set the variable SVERTKA_TOKEN or "
                "name a file with --token-file, or keep --host 127.0.0.1."
            )
        if self.token and (len(self.token) < LEAST_TOKEN or not self.token.isascii() or not self.token.isprintable()):
            raise ConfigError(
                f"the token has {len(self.token)} characters; expected at least {LEAST_TOKEN}, printable ASCII alone. "
                "Make one: python -c 'import secrets; print(secrets.token_urlsafe())'"
            )
        for origin in self.origins:
            _check_origin(origin)

    def check(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        """Refuses a request that breaks a rule.

        Raises:
            Problem: 421 for another name than the server's, 403 for another site's page, 401 for a wrong token.
        """
        host = headers.get("host", "")
        if self.loopback and not is_loopback(_host_name(host)):
            raise Problem(421, "wrong-host")
        if method not in ("GET", "HEAD") and not self._may_write(host, headers):
            raise Problem(403, "other-site")
        if self.token and method != "OPTIONS" and path not in _OPEN and not self._knows_token(headers):
            raise Problem(401, "no-token", headers={"WWW-Authenticate": _CHALLENGES})

    def cors_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """What lets the page of an allowed origin read the answer (https://fetch.spec.whatwg.org, 3.3)."""
        if not self.origins:
            return {}
        origin = headers.get("origin", "")
        if origin not in self.origins:
            return {"Vary": "Origin"}
        return {
            "Vary": "Origin",
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": "Retry-After",
        }

    def _may_write(self, host: str, headers: Mapping[str, str]) -> bool:
        """A browser names the page that asks; other clients name none."""
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site", "none") in ("none", "same-origin")
        return origin in self.origins or origin in (f"http://{host}", f"https://{host}")

    def _knows_token(self, headers: Mapping[str, str]) -> bool:
        """By ``Bearer`` (RFC 6750), or as the password of ``Basic`` (RFC 7617), as browsers ask for it."""
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                given = base64.b64decode(given.strip(), validate=True).decode("utf-8", "replace").partition(":")[2]
            except binascii.Error:
                given = ""
        elif scheme.lower() != "bearer":
            given = ""
        return hmac.compare_digest(given.strip().encode("utf-8", "replace"), self.token.encode())


def is_loopback(host: str) -> bool:
    """Whether a name or an address means this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _host_name(host: str) -> str:
    """Of a Host header, without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host


def _check_origin(origin: str) -> None:
    try:
        parts = urlsplit(origin)
        right = (
            parts.scheme in ("http", "https") and bool(parts.hostname) and origin == f"{parts.scheme}://{parts.netloc}"
        )
        right = right and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        right = False
    if not right:
        raise ConfigError(f"--cors is {origin!r}; expected an origin such as https://example.org, without a path.")
