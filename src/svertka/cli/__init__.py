"""The list of verbs. ``svertka --help`` is answered from it, without importing what the verbs need.

``main`` finds a verb by its name: ``train`` is ``train.train`` with its options, ``lab conv`` is ``lab.conv.conv``.
"""

import sys

VERBS = {
    "The main job": {
        "train": "Train on a folder of images; leaves a run folder with metrics, report and bundle.",
        "predict": "Predict images with a bundle, as CSV; needs no torch.",
        "serve": "Put bundles behind an HTTP API with a page; needs no torch.",
        "share": "Write one HTML file that runs a bundle in any browser, offline.",
        "kaggle": "Competitions: get the files, send a submission.",
        "evaluate": "Judge a bundle on new labelled images: every figure with its interval.",
        "report": "Build a run's report.html again from its files.",
        "demo": "Train on 2,624 real images of solar cells, which come with a package.",
    },
    "Choose and understand": {
        "advise": "Say which strategy suits the data, and why; trains nothing.",
        "compare": "Compare strategies or networks on the same folds: differences with a verdict.",
        "explain": "Show what a bundle sees in images: Grad-CAM, occlusion, features; needs no torch.",
        "models": "List networks; show every layer of one; compare several.",
        "lab": "Experiments: look inside a convolution, and at whole networks.",
        "course": "The course on convolutional networks: its pages in the browser, its tasks checked on this computer.",
    },
}
"""Every verb with the one line that says what it does, in the order of ``svertka --help``."""

KAGGLE = {
    "download": "Download and unpack a competition's files; nothing is overwritten.",
    "submit": "Send a submission.",
}
COURSE = {
    "open": "Open the course in the browser, also without a verb: pages on which every number can be changed.",
    "build": "Write the course's pages into a folder, for a web server or a memory stick.",
    "tasks": "List the tasks; those that were passed have a mark.",
    "start": "Write the file with which a task begins.",
    "check": "Check a solution; a wrong one is met with the smallest counterexample.",
    "progress": "Print what was passed, as JSON for a teacher.",
}
LAB = {
    "conv": "Convolve a matrix or an image with a kernel, your own too: every cell and how one comes about.",
    "pool": "Pool a matrix or an image, by maximum or mean: every cell and which number won.",
    "size": "Compute the size of outputs, layer by layer, with the numbers in the formula.",
    "filters": "Draw an image through every named kernel, and through your own.",
    "feature-maps": "Draw 32 feature maps of an image: from random and from trained first-layer filters.",
    "scratch": "Train LeNet-5 on handwritten digits in NumPy alone.",
    "trace": "Show the arithmetic of one number inside your own trained network.",
    "gradients": "Measure the gradient at each layer of plain and residual nets: does it vanish?",
    "degradation": "Train plain and residual nets of 20 and 56 layers: does the deeper one learn worse?",
    "race": "Train networks on the same small images: time, accuracy and memory of each.",
    "first-layer": "Draw a network's first filters beside the patches they answer to most.",
}


def main() -> None:
    """The command ``svertka``."""
    if sys.argv[1:] in ([], ["help"], ["--help"], ["-h"]):
        print(overview())
        return
    if sys.argv[1] == "help":  # svertka help train
        sys.argv[1:] = [*sys.argv[2:], "--help"]
    from svertka.cli.main import main as call_verb

    call_verb()


def overview() -> str:
    """What ``svertka --help`` prints."""
    lines = ["Usage: svertka VERB …", "", "A folder of images in; a tested, explained, portable classifier out."]
    for group, verbs in VERBS.items():
        lines += ["", f"{group}:", *(f"  {name:<10}{line}" for name, line in verbs.items())]
    lines += ["", "svertka VERB --help shows a verb's options; --version the version; --debug an error's traceback."]
    return "\n".join(lines)
