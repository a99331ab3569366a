"""``svertka kaggle``: downloads a competition's files and submits predictions, by the ``kaggle`` package.

Credentials are the package's own business: it looks for them where its documentation says. It may print what it sends,
these credentials included (its ``VERBOSE``), and addresses that it is sent to are keys themselves; so what it prints
is thrown away, and of its errors only the kind is shown.
"""

import io
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from svertka.data.unzip import unzip
from svertka.errors import ConfigError, MissingExtraError, NotFoundError, RemoteError

_PAGE = "https://www.kaggle.com/competitions"

Competition = Annotated[str, typer.Argument(help="Its name, as in its address.")]


def download(
    competition: Competition,
    out: Annotated[str, typer.Option(help="A new folder [default: the competition's name].")] = "",
) -> None:
    """Downloads and unpacks a competition's files. A download that was cut off goes on where it stopped.

    Raises:
        ConfigError: no credentials, or the folder is there already.
        RemoteError: Kaggle refuses or cannot be reached.
        DataError: the archive is damaged or unsafe.
    """
    name = _name(competition)
    folder = Path(out or name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is there already and is not overwritten; name another folder with --out.")
    arriving = folder.absolute().with_name(f".{folder.name}-download")
    arriving.mkdir(parents=True, exist_ok=True)
    with _kaggle(name) as api:
        api.competition_download_files(name, path=str(arriving), quiet=True)
    archive = arriving / f"{name}.zip"
    if not archive.is_file():
        raise RemoteError(f"Kaggle sent no ZIP archive for {name}; get the files from {_PAGE}/{name}/data.")
    count = unzip(archive, folder)
    shutil.rmtree(arriving)
    print(f"{count} files in {folder}")
    print(f"Next: svertka train {folder}")


def submit(
    competition: Competition,
    file: Annotated[str, typer.Argument(help="What predict --sample-submission wrote.")],
    message: Annotated[str, typer.Option(help="Shown beside it in the list of submissions.")] = "made with svertka",
) -> None:
    """Sends a submission.

    Raises:
        NotFoundError: there is no such file.
        ConfigError: no credentials.
        RemoteError: Kaggle refuses or cannot be reached.
    """
    name = _name(competition)
    if not Path(file).is_file():
        raise NotFoundError(f"{file} is no file; expected the submission to send, a CSV.")
    with _kaggle(name) as api:
        answer = api.competition_submit(file, message, name, quiet=True)
        failed = answer.message == api.COMPETITION_SUBMIT_UPLOAD_FAILED_MESSAGE
    if failed:
        raise RemoteError(f"{file} did not reach Kaggle whole, so nothing was submitted; try again.")
    print(f"Kaggle: {answer.message}")
    print(f"Score: {_PAGE}/{name}/submissions")


def _name(competition: str) -> str:
    """The last part of an address, or the name itself."""
    name = re.sub(r"^https?://(www\.)?kaggle\.com/(competitions|c)/", "", competition.strip()).split("/")[0]
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", name):
        raise ConfigError(f"competition is {competition!r}; expected its name as in its address, {_PAGE}/NAME.")
    return name


@contextmanager
def _kaggle(name: str) -> Iterator[Any]:
    """The package's client, signed in and silent; what it raises becomes an error that tells no secret."""
    if find_spec("kaggle") is None:
        raise MissingExtraError("the package kaggle is not installed here; run: pip install 'svertka[kaggle]'")
    failed: Exception | None = None
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        try:
            from kaggle.api.kaggle_api_extended import KaggleApi

            api = KaggleApi()
            api.args = [word for word in api.args if word not in ("-v", "--verbose")]
            api.authenticate()
            yield api
        except SystemExit:
            failed = ConfigError(
                "Kaggle's package finds no valid credentials; sign in with `kaggle auth login`, or make a token at "
                "https://www.kaggle.com/settings and put it where that page says."
            )
        except ImportError as error:
            failed = MissingExtraError(f"the package kaggle lacks {error.name}; run: pip install 'svertka[kaggle]'")
        except Exception as error:
            failed = RemoteError(_refusal(error, name))
    if failed is not None:
        raise failed from None


def _refusal(error: Exception, name: str) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    reasons = {
        401: "Kaggle doesn't accept the credentials; make new ones at https://www.kaggle.com/settings.",
        403: f"Kaggle refuses {name}: accept its rules at {_PAGE}/{name}/rules, and check the credentials.",
        404: f"Kaggle knows no competition {name!r}; expected its name as in its address, {_PAGE}/NAME.",
        429: "Kaggle has had enough for now (too many requests, or submissions today); try later.",
    }
    if status in reasons:
        return reasons[status]
    if status is not None:
        return f"Kaggle answers with HTTP status {status} on {name}; try again later."
    return f"Kaggle cannot be reached or its answer is not understood ({type(error).__name__}); check the network."
