"""The front door: help is answered from the table below, without importing what the verbs need.

``main`` holds the verbs and their options, one file each their work; experiments live under ``lab``.
"""

import sys

VERBS = {
    "The main job": {
        "train": "Train on a folder of images; leaves a run folder with metrics, report and bundle.",
        "predict": "Predict images with a bundle, as CSV; needs no torch.",
        "evaluate": "Judge a bundle on new labelled images: every figure with its interval.",
        "report": "Build a run's report.html again from its files.",
        "demo": "Train on 2,624 real images of solar cells, which come with a package.",
    },
    "Choose and understand": {
        "advise": "ADV",
        "compare": "CMP",
        "models": "List networks; show every layer of one; compare several.",
        "lab": "Experiments: look inside a convolution.",
    },
}
"""Every verb with the one line that says what it does, in the order of ``svertka --help``."""


def main() -> None:
    """The command ``svertka``."""
    if sys.argv[1:] in ([], ["--help"], ["-h"]):
        print(overview())
        return
    from svertka.cli.main import main as call_verb

    call_verb()


def overview() -> str:
    """What ``svertka --help`` prints."""
    lines = ["Usage: svertka VERB …", "", "A folder of images in; a tested, explained, portable classifier out."]
    for group, verbs in VERBS.items():
        lines += ["", f"{group}:", *(f"  {name:<10}{line}" for name, line in verbs.items())]
    lines += ["", "svertka VERB --help shows a verb's options; --version the version; --debug an error's traceback."]
    return "\n".join(lines)
