"""Which file a table means: names come with or without folder and suffix, as whoever made the table liked."""

import os
from pathlib import Path, PurePosixPath

from svertka.data.competition import is_test_image
from svertka.data.formats import UNSUPPORTED_SUFFIXES, is_image
from svertka.data.listing import walk


def ways_to_name(path: str) -> set[str]:
    """Every end of a path, with and without its suffix: a/b.png is found by b.png, by b and by a/b too."""
    parts = path.split("/")
    ends = {"/".join(parts[start:]) for start in range(len(parts))}
    return ends | {str(PurePosixPath(end).with_suffix("")) for end in ends}


class Finder:
    """From what a table says to a path relative to the root: as written, in the usual folders, by name or stem."""

    def __init__(
        self, root: Path, table_folder: Path, usual: tuple[str, ...], *, with_test_images: bool = True
    ) -> None:
        self._root = root
        self._with_test_images = with_test_images
        self._usual = [folder for name in usual if (folder := root / name).is_dir()]
        self._folders = [root, table_folder, *self._usual]
        self._by_name: dict[str, str] | None = None
        self._several: dict[str, tuple[str, ...]] = {}

    def __call__(self, named: str) -> str | None:
        """The file of a name, relative to the root where it lies below; None if there is none, or more than one."""
        for name in dict.fromkeys((named, named.strip(), named.strip().replace("\\", "/"))):
            for folder in self._folders:
                path = folder / name
                try:
                    if path.is_file():
                        return self._relative(path)
                except (OSError, ValueError):  # too long, or a null byte: no such file
                    return None
        if self._by_name is None:
            self._by_name = self._index()
        return self._by_name.get(name)

    def two_files(self, named: str) -> str:
        """For a name that means none because several bear it: which; otherwise ""."""
        several = self._several.get(named.strip().replace("\\", "/"), ())
        return f"two files match: {' and '.join(several)}" if several else ""

    def _index(self) -> dict[str, str]:
        """Every end of every image's path, with and without suffix; the usual folders come first.

        A name that two files bear finds neither: guessing would give an image another's label.
        """
        index: dict[str, str] = {}
        for folder in [*self._usual, self._root]:
            here: dict[str, str] = {}
            twice: dict[str, tuple[str, ...]] = {}
            for path in walk(folder):
                if path.suffix.lower() in UNSUPPORTED_SUFFIXES or not is_image(path):
                    continue
                relative = self._relative(path)
                if not self._with_test_images and is_test_image(Path(relative)):
                    continue  # an unlabelled image may bear the name of a labelled one
                for key in ways_to_name(relative):
                    if (first := here.setdefault(key, relative)) != relative:
                        twice.setdefault(key, (first, relative))
            index = {key: path for key, path in here.items() if key not in twice} | index
            self._several |= twice
        return index

    def _relative(self, path: Path) -> str:
        path = Path(os.path.normpath(path))
        return path.relative_to(self._root).as_posix() if path.is_relative_to(self._root) else path.as_posix()
