"""The engine can be read in an evening, and its docstring says truly how long it is."""

import re
from pathlib import Path

import svertka.engine

HOME = Path(svertka.engine.__file__).parent


def lines(folder):
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in folder.glob("*.py"))


def test_the_docstring_counts_the_lines_of_the_core_and_of_what_makes_it_fast():
    core, fast = lines(HOME), lines(HOME / "fast")
    assert core <= 3_000
    said = [
        int(number.replace(",", ""))
        for number in re.findall(r"has (\d[\d,]*)\s+(?:more\s+)?lines", svertka.engine.__doc__)
    ]
    assert said == [core, fast], "write these two numbers into the docstring of svertka.engine"


def test_the_docstring_names_every_file():
    named = set(re.findall(r"``(\w+)``", svertka.engine.__doc__))
    files = {path.stem for path in HOME.rglob("*.py")} - {"__init__"}
    assert files <= named
