"""``svertka lab scratch``: LeNet-5 learns to read digits, in NumPy alone."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from svertka.cli.lab.picture import Tile, sheet
from svertka.cli.options import seed_option
from svertka.cli.output import PLAIN_SPACES, may_write
from svertka.cli.progress import TerminalProgress
from svertka.data.digits import Digits, load_digits
from svertka.engine import lenet
from svertka.engine.activations import softmax
from svertka.engine.arrays import Array
from svertka.engine.augment import random_affine
from svertka.engine.dense import cross_entropy
from svertka.engine.fast.blas import one_thread
from svertka.engine.network import Network, read_arrays
from svertka.engine.optim import SGD, Adam, Cosine
from svertka.engine.training import Labelled, Recipe, fit
from svertka.errors import SvertkaError, check_known
from svertka.evaluate.intervals import share
from svertka.messages.translator import Translator
from svertka.util import runtime
from svertka.viz.drawing import save_png
from svertka.viz.heatmap import diverging

_VALIDATION_EVERY = 10
_MISTAKES = 12


def _unit(images: NDArray[np.uint8]) -> Array:
    return (images[:, None] / np.float32(255)).astype(np.float32)


def _as_in_1998(images: NDArray[np.uint8]) -> Array:
    return lenet.scale_1998(images / np.float32(255))


@dataclass(frozen=True, kw_only=True)
class _LeNet:
    """A network, how images become its input, and how it learns."""

    build: Callable[[int], Network]
    prepare: Callable[[NDArray[np.uint8]], Array]
    recipe: dict[str, Any]


_NETWORKS = {
    "lenet5": _LeNet(
        build=lenet.lenet5,
        prepare=_unit,
        recipe={"optimiser": Adam(rate=3e-3), "objective": partial(cross_entropy, label_smoothing=0.05)},
    ),
    "lenet5_1998": _LeNet(
        build=lenet.lenet5_1998,
        prepare=_as_in_1998,
        recipe={"optimiser": SGD(rate=3e-3, momentum=0.9), "objective": lenet.criterion_1998},
    ),
}


def scratch(
    out: Annotated[str, typer.Option(help="Folder for pictures and weights.")] = "scratch",
    network: Annotated[str, typer.Option(help="lenet5 (as today) or lenet5_1998.")] = "lenet5",
    data: Annotated[str, typer.Option(help="Folder with MNIST's four files [default: 5,000 digits].")] = "",
    epochs: Annotated[int, typer.Option(help="Passes over the training digits.")] = 25,
    seed: Annotated[int, seed_option("Of weights, order and augmentation.")] = 0,
) -> None:
    """Trains, then prints accuracy, confusion matrix and mistakes on digits that played no part in training.

    Every tenth training digit is kept for choosing the epoch; the test digits are looked at once, at the end.
    """
    check_known("network", network, _NETWORKS)
    chosen = _NETWORKS[network]
    recipe = Recipe(epochs=epochs, schedule=Cosine(), augment=random_affine(), seed=seed, **chosen.recipe)
    folder = Path(out).expanduser()
    pictures = may_write(folder / "filters.png"), may_write(folder / "mistakes.png")
    weights = may_write(folder / "weights.safetensors", is_result=_are_weights)
    digits = load_digits(data or None)
    folder.mkdir(parents=True, exist_ok=True)
    runtime.setup(threads=1)
    with one_thread():  # the matrices are too small for more
        model = _train(network, recipe, digits)
        logits = model(chosen.prepare(digits.test_images))
    _tell(logits, digits)
    _draw(model, softmax(logits), digits, *pictures)
    model.save(weights)
    print(f"Pictures {pictures[0]}, {pictures[1]}; weights {weights}")


def _train(name: str, recipe: Recipe, digits: Digits) -> Network:
    model, x = _NETWORKS[name].build(recipe.seed), _NETWORKS[name].prepare(digits.train_images)
    held_out = np.arange(len(x)) % _VALIDATION_EVERY == 0
    count = sum(parameter.value.size for parameter in model.parameters().values())
    print(f"{name}: {count:,} parameters; {digits.name}: {len(x):,} to learn, ", end="")
    print(f"{len(digits.test_images):,} to test", flush=True)
    train, val = (Labelled(x[part], digits.train_labels[part]) for part in (~held_out, held_out))
    with TerminalProgress() as progress:
        history = fit(model, train, val, recipe, on_event=progress)
    best = min(history, key=lambda row: row.val_loss)
    trained = "1 epoch" if len(history) == 1 else f"{len(history)} epochs"
    print(f"Trained {trained} in {sum(row.seconds for row in history):.0f} s; epoch {best.epoch} was kept.")
    return model


def _are_weights(path: Path) -> bool:
    """Whether a file holds a network of this lab."""
    try:
        names = read_arrays(path).keys()
    except SvertkaError:
        return False
    return any(names == network.build(0).state().keys() for network in _NETWORKS.values())


def _tell(logits: Array, digits: Digits) -> None:
    """Accuracy with its interval, and the confusion matrix."""
    answers = logits.argmax(axis=1)
    accuracy = share(int((answers == digits.test_labels).sum()), len(answers))
    tr = Translator("en")
    said = f"Accuracy {tr.percent(accuracy.value)} ({tr.evidence('accuracy', accuracy)})"
    print(said.translate(PLAIN_SPACES))
    counts = np.zeros((lenet.CLASSES, lenet.CLASSES), int)
    np.add.at(counts, (digits.test_labels, answers), 1)
    print("\nConfusion matrix (rows: true digit, columns: answer)")
    print("     " + "".join(f"{digit:6}" for digit in range(lenet.CLASSES)))
    for digit, row in enumerate(counts.tolist()):
        print(f"  {digit}  " + "".join(f"{count:6}" if count else "     ." for count in row))
    print()


def _draw(model: Network, p: Array, digits: Digits, learned: Path, mistakes: Path) -> None:
    """Draws the first filters, and the mistakes with the highest probabilities ``p``."""
    filters = next(iter(model.parameters().values())).value
    tiles = [Tile(diverging(w[0]), f"C1, map {n + 1}", f"{w.shape[1]} × {w.shape[2]}") for n, w in enumerate(filters)]
    subtitle = "Learned from scratch in NumPy. Blue below 0, white at 0, red above."
    save_png(sheet("First-layer filters", subtitle, {"": tiles}, columns=len(tiles), box_px=(120, 120)), learned)
    answers = p.argmax(axis=1)
    wrong = np.flatnonzero(answers != digits.test_labels)
    total = len(wrong)
    wrong = wrong[np.argsort(-p[wrong, answers[wrong]])][:_MISTAKES]
    tiles = [
        Tile(
            255 - digits.test_images[n],
            f"{digits.test_labels[n]} read as {answers[n]}",
            f"probability {p[n].max():.2f}",
        )
        for n in wrong
    ]
    title = f"{len(tiles)} of {total} mistakes, the surest first" if tiles else "No mistakes"
    picture = sheet(title, f"of {len(answers):,} test digits", {"": tiles}, columns=6, box_px=(140, 140))
    save_png(picture, mistakes)
