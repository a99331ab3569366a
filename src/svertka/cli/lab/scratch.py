"""``svertka lab scratch``: LeNet-5 learns to read digits, in NumPy alone."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from svertka.cli.lab.outputs import may_write
from svertka.cli.lab.picture import Tile, sheet
from svertka.cli.output import PLAIN_SPACES
from svertka.cli.progress import Progress
from svertka.data.digits import Digits, load_digits
from svertka.engine import lenet
from svertka.engine.activations import softmax
from svertka.engine.arrays import Array
from svertka.engine.augment import random_affine
from svertka.engine.dense import cross_entropy
from svertka.engine.network import Network, read_arrays
from svertka.engine.optim import SGD, Adam, Cosine
from svertka.engine.training import Labelled, Recipe, fit
from svertka.errors import ConfigError, SvertkaError, did_you_mean
from svertka.evaluate.intervals import share
from svertka.messages.translator import Translator
from svertka.viz.drawing import save_png
from svertka.viz.heatmap import diverging

_VALIDATION_EVERY = 10
_MISTAKES = 12


def scratch(out: str, network: str, data: str, epochs: int, seed: int) -> None:
    """Trains, then tells accuracy, confusion matrix and mistakes on digits that played no part in training.

    Every tenth training digit is kept for choosing the epoch; the test digits are looked at once, at the end.

    Args:
        out: folder for pictures and weights, made if needed.
        network: ``lenet5`` or ``lenet5_1998``.
        data: folder with MNIST's files; empty: 5,000 digits.
        epochs: passes over the training digits.
        seed: of everything random.

    Raises:
        SvertkaError: with what is wrong and what to do.
    """
    if network not in _NETWORKS:
        raise ConfigError(
            f"network is {network!r}; expected {' or '.join(_NETWORKS)}.{did_you_mean(network, _NETWORKS)}"
        )
    build, prepare, recipe = _NETWORKS[network]
    plan, folder = recipe(epochs, seed), Path(out).expanduser()
    pictures = may_write(folder / "filters.png"), may_write(folder / "mistakes.png")
    weights = may_write(folder / "weights.safetensors", ours=_are_weights)
    digits = load_digits(data or None)
    folder.mkdir(parents=True, exist_ok=True)
    model, x = build(seed), prepare(digits.train_images)
    chosen = np.arange(len(x)) % _VALIDATION_EVERY == 0
    count = sum(parameter.value.size for parameter in model.parameters().values())
    print(f"{network}: {count:,} parameters; {digits.name}: {len(x):,} to learn, ", end="")
    print(f"{len(digits.test_images):,} to test", flush=True)
    with Progress() as progress:
        history = fit(
            model,
            Labelled(x[~chosen], digits.train_labels[~chosen]),
            Labelled(x[chosen], digits.train_labels[chosen]),
            plan,
            on_event=progress,
        )
    best = min(history, key=lambda row: row.val_loss)
    trained = "1 epoch" if len(history) == 1 else f"{len(history)} epochs"
    print(f"Trained {trained} in {sum(row.seconds for row in history):.0f} s; epoch {best.epoch} was kept.")
    _tell(model(prepare(digits.test_images)), digits)
    _draw(model, prepare, digits, *pictures)
    model.save(weights)
    print(f"Pictures {pictures[0]}, {pictures[1]}; weights {weights}")


def _are_weights(path: Path) -> bool:
    """Whether a file holds a network of this lab."""
    try:
        names = read_arrays(path).keys()
    except SvertkaError:
        return False
    return any(names == build(0).state().keys() for build, _, _ in _NETWORKS.values())


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


def _draw(
    model: Network, prepare: Callable[[NDArray[np.uint8]], Array], digits: Digits, learned: Path, mistakes: Path
) -> None:
    filters = next(iter(model.parameters().values())).value
    tiles = [Tile(diverging(w[0]), f"C1, map {n + 1}", f"{w.shape[1]} × {w.shape[2]}") for n, w in enumerate(filters)]
    subtitle = "Learned from scratch in NumPy. Blue below 0, white at 0, red above."
    save_png(sheet("First-layer filters", subtitle, {"": tiles}, columns=len(tiles), box_px=(120, 120)), learned)
    p = softmax(model(prepare(digits.test_images)))
    answers = p.argmax(axis=1)
    wrong = np.flatnonzero(answers != digits.test_labels)
    wrong = wrong[np.argsort(-p[wrong, answers[wrong]])][:_MISTAKES]
    tiles = [
        Tile(
            255 - digits.test_images[n],
            f"{digits.test_labels[n]} read as {answers[n]}",
            f"probability {p[n].max():.2f}",
        )
        for n in wrong
    ]
    total = int((answers != digits.test_labels).sum())
    title = f"{len(tiles)} of {total} mistakes, the surest first" if tiles else "No mistakes"
    picture = sheet(title, f"of {len(answers):,} test digits", {"": tiles}, columns=6, box_px=(140, 140))
    save_png(picture, mistakes)


# --- the two networks ---------------------------------------------------------------------------------------------


def _unit(images: NDArray[np.uint8]) -> Array:
    return (images[:, None] / np.float32(255)).astype(np.float32)


def _as_in_1998(images: NDArray[np.uint8]) -> Array:
    return lenet.scale_1998(images / np.float32(255))


def _recipe(epochs: int, seed: int) -> Recipe:
    return Recipe(
        epochs=epochs,
        optimiser=Adam(rate=3e-3),
        schedule=Cosine(),
        objective=partial(cross_entropy, label_smoothing=0.05),
        augment=random_affine(),
        seed=seed,
    )


def _recipe_1998(epochs: int, seed: int) -> Recipe:
    return Recipe(
        epochs=epochs,
        optimiser=SGD(rate=3e-3, momentum=0.9),
        schedule=Cosine(),
        objective=lenet.criterion_1998,
        augment=random_affine(),
        seed=seed,
    )


_NETWORKS: dict[
    str, tuple[Callable[[int], Network], Callable[[NDArray[np.uint8]], Array], Callable[[int, int], Recipe]]
] = {
    "lenet5": (lenet.lenet5, _unit, _recipe),
    "lenet5_1998": (lenet.lenet5_1998, _as_in_1998, _recipe_1998),
}
