"""What a person begins a task with: the statement as comments in their language, and the bare form of the answer."""

import textwrap

from svertka.course.number_tasks import resnet18_layers
from svertka.course.task_list import CourseTask
from svertka.messages.translator import Translator

_WIDTH = 96
_BODIES = {
    "convolution2d": """
import numpy as np


def convolution2d(image, kernel, padding=0, stride=1):
    raise NotImplementedError
""",
    "filters": """
import numpy as np


def create_filters():
    filters = {}
    filters["vertical_edge"] = np.array([])
    filters["horizontal_edge"] = np.array([])
    filters["blur"] = np.array([])
    filters["sharpen"] = np.array([])
    return filters
""",
    "sizes": """
first = ""
second = ""
""",
    "max-pooling": """
import numpy as np


def max_pooling2d(image, size=2, stride=None, padding=0):
    raise NotImplementedError
""",
    "five-filters": """
import numpy as np

IMAGE = ""


def my_filters():
    return {}


def apply_filters(image):
    return {name: None for name in my_filters()}
""",
    "vgg-block": """
import torch
from torch import nn


def vgg_block(in_channels, out_channels, convolutions):
    raise NotImplementedError
""",
    "race": """
csv = "race/race.csv"
quicker = ""
times = ""
better = ""
sentence = ""
""",
    "strategies": """
folder = ""
verdict = ""
sentence = ""
""",
    "activations": """
folder = "explained"
sees_px = []
edges = ""
objects = ""
""",
    "pipeline": """
csv = ""
accuracy = ""
low = ""
high = ""
""",
    "numpy-cnn": """
import numpy as np


def initialise(seed):
    rng = np.random.default_rng(seed)
    return {}


def loss_and_gradients(parameters, images, labels):
    raise NotImplementedError


def train(images, labels):
    parameters = initialise(0)
    return parameters


def predict(parameters, images):
    raise NotImplementedError
""",
    "kaggle": """
submission = "submission.csv"
sample = "sample_submission.csv"
""",
}
_BODIES["classifier"] = _BODIES["pipeline"]


def starter(task: CourseTask, language: str) -> str:
    """The text of a task's starter file."""
    tr = Translator(language)
    title, statement = tr(f"course.task.{task.key}.title"), tr(f"course.task.{task.key}.statement")
    paragraphs = [
        f"{task.name}: {title}",
        "",
        *statement.split("\n"),
        "",
        tr("course.to_check", name=task.name, file=task.file),
    ]
    lines = [
        line
        for each in paragraphs
        for line in (textwrap.wrap(each, _WIDTH, break_on_hyphens=False, break_long_words=False) or [""])
    ]
    comment = "\n".join(f"# {line}".rstrip() for line in lines) + "\n"
    return comment + (_table() if task.name == "resnet18-parameters" else _BODIES[task.name])


def _table() -> str:
    return "layer,parameters\n" + "".join(f"{layer.name},\n" for layer in resnet18_layers()) + "total,\n"
