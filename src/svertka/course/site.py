"""Writes the course's site: one HTML page with everything inline, which asks nothing of any network.

The script is the one that ``web/course`` builds. It works from a file, since pages that open by double click may load
no modules, and from any web server. Which page is shown, and its numbers, stand behind the ``#`` of the address.
"""

from pathlib import Path

from svertka.engine.filters import bank
from svertka.errors import ConfigError
from svertka.messages import LANGUAGES, catalogue
from svertka.messages.catalogue import Entry
from svertka.page.inline_page import asset, file_head, inline_page, is_written_by
from svertka.page.inline_page import policy as page_policy
from svertka.util.atomic_files import written_beside
from svertka.util.version import __version__

INDEX = "index.html"
GENERATOR = "svertka course"
"""Marks the page as one of ours."""

_BUILT = "course"
_TEXTS = ("site.", "names.", "page.theme", "web.language", "web.intake.nothing", "web.intake.photo", "lab.filter.")
_BUILT_IN = ("preact",)
"""Packages in the script."""
_RULE = "-" * 80


def write_site(out: Path) -> Path:
    """Writes the site into a folder, which is made if it isn't there.

    Args:
        out: the folder; whatever else lies in it stays.

    Returns:
        The page to open.

    Raises:
        ConfigError: ``out`` is no folder, or its index.html is not of the course.
    """
    index = out / INDEX
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file; expected the name of a folder for the course.")
    if out.is_dir() and any(out.iterdir()) and not is_site(out):
        raise ConfigError(
            f"{out} holds files and no course that svertka wrote, and is left alone; name another folder."
        )
    out.mkdir(parents=True, exist_ok=True)
    with written_beside(index) as part:
        part.write_text(site_html(), encoding="utf-8", newline="\n")
    return index


def address(page: Path, language: str = "") -> str:
    """The address of the page, in a language if one is asked for."""
    return page.absolute().as_uri() + (f"#{language}/start" if language else "")


def is_site(folder: Path) -> bool:
    """Whether a folder holds a course that svertka wrote, which a newer one may replace."""
    index = folder / INDEX
    return index.is_file() and is_written_by(GENERATOR, index)


def site_html() -> str:
    """The whole site."""
    return inline_page(
        _BUILT,
        language="ru",
        title=str(catalogue("ru")["site.title"]),
        no_script="site.no_script",
        data={
            "version": __version__,
            "texts": {each: site_texts(each) for each in LANGUAGES},
            "licences": _licences(asset("LICENSES.txt")),
            "bank": small_filters(),
        },
        head=file_head(policy(), GENERATOR),
    )


def policy() -> str:
    """What the browser may do on the site: nothing that reaches a network."""
    return page_policy(_BUILT, "connect-src 'none'")


def site_texts(language: str) -> dict[str, Entry]:
    """The sentences of the site in one language, by their keys."""
    return {key: entry for key, entry in catalogue(language).items() if key.startswith(_TEXTS)}


def small_filters() -> dict[str, list[list[float]]]:
    """Kernels of 3 × 3 of the laboratory's bank by their names, to nine decimals."""
    return {name: one.kernel.round(9).tolist() for name, one in bank().items() if one.kernel.shape == (3, 3)}


def _licences(text: str) -> str:
    """Those of the packages that the site's script holds."""
    parts = [part.strip() for part in text.split(_RULE)]
    return f"\n\n{_RULE}\n\n".join(part for part in parts if part.startswith(tuple(f"{name} " for name in _BUILT_IN)))
