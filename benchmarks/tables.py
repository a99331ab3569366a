"""Turns results/*.json into docs/benchmarks.md. Nothing in that page is typed by hand.

Usage: python benchmarks/tables.py
"""

import json
from pathlib import Path
from typing import Any

from common import HERE, RESULTS

PAGE = HERE.parent / "docs" / "benchmarks.md"
ORDER = (
    "learning",
    "finetune_accuracy",
    "two_stage",
    "from_scratch",
    "training_step",
    "inference",
    "splits",
    "abstention",
    "coverage",
    "temperature",
    "finetune_epoch",
    "predict",
    "serve",
    "serve_limits",
    "decode",
    "second_train",
    "memory",
    "startup",
    "twin",
    "conv2d",
    "lenet",
    "true_convolution",
    "strategies",
    "unlike",
    "browser",
    "leaks",
    "budget",
)
INTRODUCTION = """\
# Benchmarks

<!-- Made by benchmarks/tables.py from benchmarks/results/*.json; edit those, not this page. -->

Every figure is a ratio against a peer that ran in the same session on the same machine, sides alternating, each as a
process of its own. `make bench` measures all again; `python benchmarks/run_all.py learning` (or another
script's name) a part. What was tried and did not help stands in [benchmarks/LOG.md](../benchmarks/LOG.md).

"As users run it" means no special environment. "Allocator kept" means with three environment variables that tell
glibc to keep freed memory; they change no result and save a plain torch loop more than half of its time on Linux, but
hardly anybody sets them. svertka does it by itself, so the second ratio is what remains of its own making.
"""


def number(value: float | str | None) -> str:
    """Three significant digits, thousands with a comma; words, yes and no as they are."""
    if isinstance(value, bool | str) or not isinstance(value, int | float):
        return str(value).replace("_", " ")
    if value == round(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:#.3g}".rstrip(".") if abs(value) >= 0.001 else f"{value:.1e}"


def figure(value: float, unit: str) -> str:
    """A figure with its unit; shares of images with three decimals, unless none would be left."""
    if not unit and (value == 0 or 0.001 <= abs(value) <= 1):
        return f"{value:.3f}"
    return f"{number(value)} {unit}".strip()


def summary_table(results: list[dict[str, Any]]) -> list[str]:
    """One line a claim."""
    lines = ["| what | against | measured | target | |", "|---|---|---|---|---|"]
    for result in results:
        for row in result["rows"]:
            note = f" ({row['note']})" if row["note"] else ""
            lines.append(
                f"| {row['what']} | {row['against'] or '–'} | **{figure(row['measured'], row['unit'])}**{note} | "
                f"{row['better']} {row['target']:g} {row['unit']} | {'reached' if row['hit'] else '**missed**'} |"
            )
    return lines


def details(result: dict[str, Any]) -> list[str]:
    """Samples of every side, and all that is needed to judge and repeat them."""
    hardware = result["hardware"]
    lines = [
        f"## {result['title']}",
        "",
        "| side | median | lowest – highest | n | |",
        "|---|---|---|---|---|",
    ]
    for name, side in result["sides"].items():
        unit = side["unit"]
        spread = f"{figure(side['low'], unit)} – {figure(side['high'], unit)}" if side["n"] > 1 else "one run"
        lines.append(f"| {name} | {figure(side['median'], unit)} | {spread} | {side['n']} | {remark(side)} |")
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    lines += ["", *(f"- {key}: {value}" for key, value in result["config"].items())]
    lines += [
        f"- threads: {result['threads']}; warm-up: {result['warm_up']}",
        f"- machine: {hardware['processor']} ({', '.join(hardware['vector_instructions'])}), "
        f"{hardware['cores']} cores, {hardware['memory_gb']} GB, {hardware['system']}; "
        f"load before the start {result['load_at_start']}",
        f"- {versions}",
        f"- `python {result['script']}`, commit {result['commit']}, {result['date']}",
        "",
    ]
    return lines


def remark(side: dict[str, Any]) -> str:
    """Note and further figures of a side, in one cell."""
    parts = [side["note"]] if side["note"] else []
    for name, value in side["figures"].items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {number(item)}" for key, item in value.items())
        elif isinstance(value, list):
            value = ", ".join(number(item) for item in value)
        elif not isinstance(value, str):
            value = f"{value:.3f}" if isinstance(value, float) and abs(value) < 10 else number(value)
        words, unit = (name.removesuffix("_mb"), " MB") if name.endswith("_mb") else (name, "")
        parts.append(f"{words.replace('_', ' ')}: {value}{unit}")
    return "; ".join(parts)


def page(results: list[dict[str, Any]]) -> str:
    """The whole page."""
    rows = [row for result in results for row in result["rows"]]
    reached = sum(row["hit"] for row in rows)
    lines = [INTRODUCTION, f"{reached} of {len(rows)} targets are reached.", "", *summary_table(results), ""]
    for result in results:
        lines += details(result)
    return "\n".join(lines).rstrip() + "\n"


def write() -> Path:
    """Writes the page from the results that are there."""
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))}
    if unknown := found.keys() - set(ORDER):
        raise SystemExit(f"results without a place in the page: {', '.join(sorted(unknown))}; add them to ORDER.")
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page([found[name] for name in ORDER if name in found]), encoding="utf-8")
    return PAGE


if __name__ == "__main__":
    print(write())
