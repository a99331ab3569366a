"""The package's shape: where things lie, which names they have, and that imports make no circle."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

import svertka

ROOT = Path(svertka.__file__).parent
FILES = {
    ".".join(("svertka", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in ROOT.rglob("*.py")
}
TREES = {name: ast.parse(path.read_text("utf-8")) for name, path in FILES.items()}

SAME_SUBJECT = {
    "activations.py",
    "bundle.py",
    "convolution.py",
    "depthwise.py",
    "lenet.py",
    "pooling.py",
    "training.py",
    "winograd.py",
}
"""File names that stand in two packages, each for the same subject; the verbs of ``cli/`` aside."""


def imports(name: str) -> set[str]:
    """Modules of the package that a file imports, wherever in it: functions and ``TYPE_CHECKING`` count."""
    found = set()
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{name}: imports are absolute"
            inner = {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            found |= {inner[each] if inner[each] in FILES else node.module for each in inner}
    return found & FILES.keys() - {name}


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Sets of modules that import each other in a ring: what is left when leaves are taken away again and again."""
    left = {name: set(targets) for name, targets in edges.items()}
    while leaves := {name for name, targets in left.items() if not targets & left.keys()}:
        left = {name: targets for name, targets in left.items() if name not in leaves}
    return [sorted(left)] if left else []


def test_a_ring_of_imports_is_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == [["a", "b", "c"]]
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []


def test_no_file_imports_one_that_imports_it_again():
    plain = {name: imports(name) for name, path in FILES.items() if path.name != "__init__.py"}
    assert circles(plain) == []


def test_nothing_lies_loose_in_the_root():
    assert {path.name for path in ROOT.glob("*.py")} == {"__init__.py", "errors.py", "pipeline.py"}


def test_a_file_name_stands_for_one_subject():
    names = Counter(
        p.name for p in FILES.values() if p.name != "__init__.py" and "cli" not in p.relative_to(ROOT).parts
    )
    assert {name for name, count in names.items() if count > 1} == SAME_SUBJECT


def test_a_public_class_has_its_name_alone():
    classes = Counter(
        node.name
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert {name for name, count in classes.items() if count > 1} <= {"Network"}


@pytest.mark.parametrize("name", sorted(FILES))
def test_functions_are_short_enough_to_read(name):
    long = {
        node.name: node.end_lineno - node.lineno + 1
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno + 1 > 60
    }
    assert not long


GUIDE = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text("utf-8")
LINE = re.compile(r"^(\d+)\. \[`([\w/.]+)`\]\(src/svertka/([\w/.]+)\) `(\w+)`: ", re.MULTILINE)


def walks() -> list[list[tuple[str, str]]]:
    """The numbered walks of the guide: module and function of each line."""
    found: list[list[tuple[str, str]]] = []
    for number, shown, path, function in LINE.findall(GUIDE):
        assert shown == path
        if number == "1":
            found.append([])
        found[-1].append(("svertka." + path.removesuffix(".py").replace("/", "."), function))
    return found


@pytest.mark.parametrize("walk", walks(), ids=["predict", "strategy"])
def test_each_line_of_a_walk_is_there_and_reached_from_the_lines_above(walk):
    assert len(walk) == 10
    reached = {walk[0][0]}
    for module, function in walk:
        assert module in reached, f"{module} is imported by no line above"
        names = {node.name for node in TREES[module].body if isinstance(node, ast.FunctionDef)}
        assert function in names, f"{module} has no {function}"
        reached |= imports(module)


def test_the_guide_names_every_package_and_no_other():
    table = set(re.findall(r"`(\w+)/`", GUIDE.partition("## Two walks")[0]))
    assert table == {path.name for path in ROOT.iterdir() if (path / "__init__.py").is_file()}
