"""Predictions of files as the verbs take them: with progress, and with what is doubtful about them said at the end."""

from collections.abc import Iterator, Sequence

from svertka.bundle.predictor import FilePrediction, Predictor, predict_files
from svertka.cli.inputs import Input
from svertka.cli.output import phrase, say, say_samples
from svertka.cli.progress import counted
from svertka.data.decode import DEFAULT_MAX_PIXELS
from svertka.messages import shown


class Answers:
    """A bundle's predictions of files, in the order of the files.

    Attributes:
        read: how many files could be read so far.
    """

    def __init__(self, predictor: Predictor, inputs: Sequence[Input], max_pixels: int = DEFAULT_MAX_PIXELS) -> None:
        self.read = 0
        self._inputs = inputs
        self._found = predict_files(predictor, (one.file for one in inputs), max_pixels=max_pixels)
        self._unlike: list[str] = []
        self._notes: list[tuple[str, Sequence[str]]] = []

    def __iter__(self) -> Iterator[tuple[Input, FilePrediction]]:
        results = counted("predict", len(self._inputs), self._found)
        for one, result in zip(self._inputs, results, strict=True):
            self.read += not result.error
            if result.notes:
                self._notes.append((one.name, result.notes))
            if result.out_of_distribution:
                self._unlike.append(one.name)
            yield one, result

    def say_doubts(self) -> None:
        """Says how deep samples were read, and how many images are unlike the training images, if there are any."""
        say_samples(self._notes)
        if self._unlike:
            say(phrase("unlike", n=len(self._unlike), first=shown(self._unlike[0])))
