"""The tasks of the course, in its order: where each stands in the course, what is handed in, and what checks it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from svertka.course.findings import Barred, Finding
from svertka.errors import check_known


@dataclass(frozen=True, kw_only=True, slots=True)
class CourseTask:
    """One task; its words are ``course.task.<key>`` of the catalogue.

    Attributes:
        chapter: of the course; "P" are the practical tasks at its end.
        file: name of what ``svertka course start`` writes.
        check: ``module:function`` of this package: takes the path, yields findings, ends or raises ``Barred`` at the
            first that bars the way to others.
        folder: whether a folder may be handed in instead of the file.
    """

    name: str
    chapter: str
    file: str
    check: str
    folder: bool = False

    @property
    def key(self) -> str:
        """The name as keys of the catalogue are written."""
        return self.name.replace("-", "_")

    @property
    def is_code(self) -> bool:
        """Whether what is handed in is run."""
        return self.file.endswith(".py")

    def findings(self, path: Path) -> Iterator[Finding]:
        """Checks a solution."""
        module, _, function = self.check.partition(":")
        try:
            yield from getattr(import_module(f"svertka.course.{module}"), function)(path)
        except Barred as barred:
            yield barred.finding


TASKS: tuple[CourseTask, ...] = (
    CourseTask(name="convolution2d", chapter="3.1", file="convolution2d.py", check="array_tasks:convolution2d"),
    CourseTask(name="filters", chapter="3.1", file="filters.py", check="array_tasks:filters"),
    CourseTask(name="sizes", chapter="3.1", file="sizes.toml", check="number_tasks:sizes"),
    CourseTask(name="max-pooling", chapter="3.1", file="max_pooling.py", check="array_tasks:max_pooling"),
    CourseTask(name="five-filters", chapter="3.1", file="five_filters.py", check="array_tasks:five_filters"),
    CourseTask(name="vgg-block", chapter="3.2", file="vgg_block.py", check="network_tasks:vgg_block"),
    CourseTask(
        name="resnet18-parameters", chapter="3.2", file="resnet18_parameters.csv",
        check="number_tasks:resnet18_parameters",
    ),
    CourseTask(name="race", chapter="3.2", file="race.toml", check="evidence_tasks:race"),
    CourseTask(name="strategies", chapter="3.3", file="strategies.toml", check="evidence_tasks:strategies"),
    CourseTask(name="activations", chapter="3.3", file="activations.toml", check="evidence_tasks:activations"),
    CourseTask(name="pipeline", chapter="3.3", file="pipeline.toml", check="run_tasks:pipeline", folder=True),
    CourseTask(name="numpy-cnn", chapter="P", file="numpy_cnn.py", check="network_tasks:numpy_cnn"),
    CourseTask(name="classifier", chapter="P", file="classifier.toml", check="run_tasks:classifier", folder=True),
    CourseTask(name="kaggle", chapter="P", file="kaggle.toml", check="submission_task:kaggle"),
)  # fmt: skip
BY_NAME: Mapping[str, CourseTask] = {task.name: task for task in TASKS}


def find_task(name: str) -> CourseTask:
    """The task of this name.

    Raises:
        ConfigError: there is none; close names are offered.
    """
    check_known("task", name, BY_NAME)
    return BY_NAME[name]
