"""``svertka serve``: bundles behind an HTTP API with a page, on this machine or for others. No torch."""

import os
import shlex
import socket
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from svertka.cli.extras import need_serving
from svertka.cli.options import Language, Threads
from svertka.cli.output import say, terminal
from svertka.errors import ConfigError, NotFoundError
from svertka.util import runtime

_MOST_MB = 1000
_TOKEN = "SVERTKA_TOKEN"
# Addresses for documentation (RFC 5737, RFC 3849), which are nobody's.
_ELSEWHERE = {"0.0.0.0": (socket.AF_INET, "192.0.2.1"), "::": (socket.AF_INET6, "2001:db8::1")}


def serve(
    bundles: Annotated[list[str], typer.Argument(help="Bundles or run folders; NAME=BUNDLE names one of several.")],
    host: Annotated[
        str, typer.Option(help="Address to listen at; others than this machine need a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0: any that is free.")] = 8000,
    token_file: Annotated[str, typer.Option(help=f"File with the token [default: the variable {_TOKEN}].")] = "",
    cors: Annotated[
        list[str] | None, typer.Option(help="Website whose pages may ask, such as https://example.org.")
    ] = None,
    max_mb: Annotated[float, typer.Option(help="Largest request, in MB.")] = 10,
    threads: Threads = 0,
    language: Language = "",
) -> None:
    """Serves until Ctrl+C or SIGTERM; SIGHUP reads the bundles again.

    Raises:
        ConfigError: an option is wrong, the port is taken, or others could ask without a token.
        NotFoundError: there is no such bundle or token file.
        BundleError: a bundle is damaged.
        MissingExtraError: the extra ``serve`` isn't installed.
    """
    need_serving()
    from svertka.inference.onnxruntime_session import share_memory
    from svertka.serve.access import Access, is_loopback
    from svertka.serve.limits import Limits
    from svertka.serve.run_server import hangups_wait, listen
    from svertka.serve.run_server import serve as run
    from svertka.serve.served_model import named_paths, open_model
    from svertka.serve.service import Service

    if not 0 <= port <= 65535:
        raise ConfigError(f"port is {port}; expected 0 to 65535.")
    if not 0 < max_mb <= _MOST_MB:
        raise ConfigError(f"--max-mb is {max_mb:g}; expected more than 0 and at most {_MOST_MB}.")
    threads = runtime.compute_threads(threads)
    access = Access(token=_token(token_file), loopback=is_loopback(host), origins=frozenset(cors or ()))
    paths = named_paths(bundles)
    runtime.give_back_memory()
    share_memory()
    with hangups_wait() as hangups, listen(host, port) as listener:
        service = Service(  # nothing else may hold on to the models: a new bundle takes their place
            models={name: open_model(name, path) for name, path in paths.items()},
            access=access,
            limits=Limits(body_bytes=round(max_mb * 1e6)),
            threads=threads,
            tell=_tell,
        )
        port = listener.getsockname()[1]
        token = _written_token(token_file) if access.token else ""
        run(service, listener, partial(_say_address, host, port, list(paths), token), hangups)


def _token(file: str) -> str:
    """From a file, or from the environment: what stands on a command line can be read by every user."""
    if not file:
        return os.environ.get(_TOKEN, "").strip()
    path = Path(file).expanduser()
    if not path.is_file():
        raise NotFoundError(f"{path} is no file; expected one that holds the token alone.")
    token = path.read_text("utf-8", "replace").strip()
    if not token:
        raise ConfigError(f"{path} is empty; expected a token.")
    return token


def _tell(key: str, **values: object) -> None:
    with suppress(OSError):  # who listened is gone; the server isn't
        say(terminal()(f"serve.{key}", **values))


def _written_token(file: str) -> str:
    """How a shell's command names the token without writing it."""
    return f"$(cat {shlex.quote(file)})" if file else f"${_TOKEN}"


def _say_address(host: str, port: int, names: list[str], token: str) -> None:
    """Where the server is, and how to try it."""
    known = own_address(host)
    address = f"http://{f'[{known}]' if ':' in known else known}:{port}"
    header = f' -H "Authorization: Bearer {token}"' if token else ""
    _tell("ready", n=len(names), names=", ".join(names), address=f"{address}/")
    _tell("try", command=f"curl{header} --data-binary @image.jpg {address}/v1/predict")
    _tell("stop")


def own_address(host: str) -> str:
    """By which others reach a server that listens at ``host``: of all addresses that of the default route.

    A datagram socket that is connected has asked for the route and sent nothing. Without a route it is the host's name.
    """
    if host not in _ELSEWHERE:
        return host
    family, elsewhere = _ELSEWHERE[host]
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.connect((elsewhere, 9))
            return str(asking.getsockname()[0])
    except OSError:
        return socket.gethostname()
