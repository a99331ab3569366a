"""``ImageClassifier``: scikit-learn's interface to the code behind ``svertka train``."""

import json
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from svertka.errors import BundleError, ConfigError, DataError, MissingExtraError

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import assert_all_finite, check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, column_or_1d
except ImportError:
    raise MissingExtraError(
        "ImageClassifier needs scikit-learn, not installed here; run: pip install 'svertka[train]'"
    ) from None

from svertka.bundle.bundle import load_bundle
from svertka.config import FineTune, Resize, RunConfig, Scratch, StrategyName
from svertka.estimators.fitted import Fitted, Loaded, as_predictions, train_on
from svertka.estimators.image_input import Images, as_images
from svertka.evaluate import fit_conformal, log_probabilities, predicted_labels, probabilities
from svertka.schema import Bundle, Conformal, Estimate, EventSink, Predictions, ignore_events
from svertka.util.atomic_files import parse_json, read_file

ESTIMATOR = "estimator.json"
"""Beside the bundle's files: the estimator's parameters and its classes in their own type."""

_PLAIN = str | int | float | bool


@dataclass(eq=False, repr=False)  # scikit-learn compares and writes estimators itself
class ImageClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier of images that scikit-learn accepts as an estimator.

    ``X`` is a list of paths, or an array [N, H, W] or [N, H, W, 3] of uint8 or of floats from 0 to 1, or a list of such
    arrays of different sizes; ``y`` are labels of any type. Features of the frozen network are computed once for each
    distinct image and cached on disk by content, so cross-validation and a search over parameters cost seconds.

    Attributes:
        classes_: labels, sorted; the columns of ``predict_proba``.
        strategy_: that was kept (``strategy="auto"`` chooses on validation).
        history_: the learning curve, one ``EpochRow`` an epoch; empty for the probe.

    Args:
        strategy: ``"probe"`` (a linear model on frozen features), or any other name of ``config.STRATEGY_NAMES``.
            The probe is the default because cross-validation fits many times.
        backbone: network by name, see ``svertka models``.
        weights: ``"default"``, ``"none"``, a weights name, or a file.
        size_px: side of the network's input; 0 means the backbone's own.
        resize: ``"squash"``, ``"crop"`` or ``"pad"``, see ``Preprocess``.
        minutes: budget for learning, for strategies that fine-tune.
        validation_fraction: held out inside ``fit`` to choose epoch, strategy and temperature. The probe alone needs
            none and learns from all images.
        folds: the mean of so many classifiers, each taught without one fold of the images, which judges it. All images
            then teach, and all choices are made on all of them; 0 means one classifier.
        finetune: the recipe; None means ``FineTune()``, with random weights ``Scratch()``.
        threads: for compute; 0 means one a core.
        random_state: an int, a ``RandomState`` or None, as everywhere in scikit-learn.
        on_event: hears ``EpochEnded`` and the like during ``fit``; the library itself prints nothing.
    """

    strategy: StrategyName = "probe"
    _: KW_ONLY
    backbone: str = "efficientnet_lite0"
    weights: str = "default"
    size_px: int = 0
    resize: Resize = "squash"
    minutes: float = 10.0
    validation_fraction: float = 0.15
    folds: int = 0
    finetune: FineTune | None = None
    threads: int = 0
    random_state: Any = 0
    on_event: EventSink | None = None

    _always_holds_out = False

    def fit(self, X: Any, y: Any, groups: Any = None, sample_weight: Any = None) -> Self:
        """Learns from labelled images.

        Args:
            X: images, N of them.
            y: N labels.
            groups: N names or numbers; images of one group (patient, scene) stay on one side where some are held out.
            sample_weight: N numbers, how much each image counts in learning; those of weight 0 are left out. The probe
                weights its loss as scikit-learn's ``LogisticRegression`` does; where a network is trained, images are
                drawn in proportion. None: all count alike.

        Raises:
            DataError: X or y cannot be used; the message says why.
            SvertkaError: whatever ``svertka train`` would refuse.
        """
        images = as_images(X)
        self.classes_, labels_N = self._labels(y, len(images))
        names = None if groups is None else _names(groups, len(images))
        weights_N = None
        if sample_weight is not None:
            weights_N = _weights(sample_weight, len(images))
            used = np.flatnonzero(weights_N)
            taken: list[Any] = [images[row] for row in used.tolist()]
            images, weights_N = as_images(taken), weights_N[used]
            self.classes_, labels_N = self._labels(self.classes_[labels_N[used]], len(images))
            names = names and [names[row] for row in used.tolist()]
        config = self._config()
        holds_out = self._always_holds_out or config.strategy != "probe" or config.folds > 0
        if holds_out and not 0.02 <= self.validation_fraction <= 0.6:
            raise ConfigError(f"validation_fraction is {self.validation_fraction}; expected 0.02 to 0.6 of the images.")
        trained = train_on(
            images,
            labels_N,
            tuple(map(str, self.classes_.tolist())),
            config,
            validation_fraction=self.validation_fraction if holds_out else 0.0,
            groups=names,
            on_event=self.on_event or ignore_events,
            weights_N=weights_N,
        )
        if sample_weight is not None:
            trained = replace(trained, val_rows=tuple(used[list(trained.val_rows)].tolist()))
        self._keep(trained)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable class of each image, [N]."""
        best_N = predicted_labels(self._judge(X))
        labels_N: NDArray[Any] = self.classes_[best_N]
        return labels_N

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probability of each class, [N, K]; rows sum to 1."""
        found = self._judge(X)
        return probabilities(found, self.trained_.temperature)

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Natural logarithm of ``predict_proba``, [N, K]; finite also where a probability is too small to be told."""
        return log_probabilities(self._judge(X), self.trained_.temperature)

    def save(self, directory: Path | str, metrics: dict[str, Estimate] | None = None) -> Bundle:
        """Writes a bundle as ``svertka train`` does, for ``svertka predict`` and for ``load``.

        Unlike that one it doesn't remember what training images look like, so ``predict`` flags none as unlike them.

        Args:
            directory: of the bundle; an older bundle there is replaced, but not by a model that was loaded.
            metrics: figures on test images, to be kept in the manifest.

        Raises:
            BundleError: the exported graph and the network disagree.
            ConfigError: ``directory`` holds something that is no bundle, or a loaded model would replace a bundle.
        """
        check_is_fitted(self)
        directory = Path(directory).expanduser()
        if directory.exists() and not (directory / "manifest.json").is_file():
            raise ConfigError(f"{directory} is there already and is no bundle; name another folder to save into.")
        bundle = self.trained_.write(directory, metrics or {}, self._conformal())
        facts = {"estimator": type(self).__name__, "classes": self.classes_.tolist(), **self._facts()}
        values = {name: as_plain(value) for name, value in self.get_params().items()}
        parameters = {name: value for name, value in values.items() if isinstance(value, _PLAIN | None)}
        text = json.dumps({**facts, "parameters": parameters}, ensure_ascii=False, indent=2, default=str)
        (directory / ESTIMATOR).write_text(text + "\n", encoding="utf-8")
        return bundle

    @classmethod
    def load(cls, directory: Path | str, threads: int = 0) -> Self:
        """Opens a bundle as a fitted estimator; no code is run, no pickle is read.

        Args:
            directory: from ``save``, or the bundle or run folder of ``svertka train`` (labels are then text).
            threads: for compute; 0 means one a core.

        Raises:
            NotFoundError: there is no such folder.
            BundleError: a file is missing or damaged, or another estimator wrote it.
        """
        bundle = load_bundle(directory)
        facts = _read_facts(bundle, cls.__name__)
        known = cls().get_params().keys()
        parameters = {name: value for name, value in facts.get("parameters", {}).items() if name in known}
        loaded = cls(**(parameters | {"threads": threads}))
        classes = facts.get("classes", list(bundle.class_names))
        if list(map(str, classes)) != list(bundle.class_names):
            raise BundleError(f"{directory}: {ESTIMATOR} has other classes than the manifest. Save the model again.")
        loaded.classes_ = np.array(classes)
        loaded._keep(Loaded.of(bundle, threads))
        loaded._restore(bundle, facts)
        return loaded

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        return tags

    def _keep(self, trained: Fitted) -> None:
        self.trained_, self.strategy_, self.history_ = trained, trained.strategy, trained.history

    def _judge(self, X: Any) -> Predictions:
        check_is_fitted(self)
        return as_predictions(self.trained_.logits(as_images(X)), self.trained_.class_names)

    def _config(self) -> RunConfig:
        given = self.random_state
        seed = int(given) if isinstance(given, int | np.integer) else check_random_state(given).randint(2**31)
        recipe = self.finetune
        config = RunConfig(
            data="-",  # the images are handed over, not found in a folder
            backbone=self.backbone,
            weights=self.weights,
            strategy=self.strategy,
            folds=self.folds,
            minutes=self.minutes,
            seed=seed,
            size_px=self.size_px,
            resize=self.resize,
            threads=self.threads,
            finetune=recipe or FineTune(),
            scratch=recipe if isinstance(recipe, Scratch) else Scratch(),
        )
        if config.from_scratch and recipe is not None and not isinstance(recipe, Scratch):
            raise ConfigError(
                "finetune is a FineTune, but with weights 'none' the network is trained from scratch; expected a "
                "svertka.Scratch with the same fields."
            )
        return config

    @staticmethod
    def _labels(y: Any, n: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Sorted classes and each image's number in them.

        Raises:
            DataError: there are no labels, not one an image, of one class only, or equal as text.
        """
        if y is None:
            raise DataError("requires y to be passed, but the target y is None: give one label an image.")
        labels = column_or_1d(y, warn=True)
        assert_all_finite(labels, input_name="y")
        check_classification_targets(labels)
        if len(labels) != n:
            raise DataError(f"y has {len(labels)} labels for {n} images; expected one each.")
        classes, labels_N = np.unique(labels, return_inverse=True)
        if len(classes) < 2:
            raise DataError(
                f"y has 1 class only ({classes.tolist()[0]!r}) in {n} sample(s); a classifier needs at least two."
            )
        if len(set(map(str, classes.tolist()))) < len(classes):
            raise DataError(f"y has classes that are equal as text: {classes.tolist()!r:.200}; rename them.")
        return classes, labels_N.astype(np.int64)

    def _conformal(self) -> Conformal | None:
        """When a bundle says "unsure", as in ``svertka train``; needs images that were held out."""
        return fit_conformal(self.trained_.val) if self.trained_.val is not None else None

    def _facts(self) -> dict[str, object]:
        """What a subclass keeps beside its parameters, as plain JSON values."""
        return {}

    def _restore(self, bundle: Bundle, facts: dict[str, Any]) -> None:
        """Takes back what ``_facts`` gave."""


def as_plain(value: Any) -> Any:
    """A label as Python's own text or number: ``'cat'`` rather than ``np.str_('cat')`` in messages and JSON."""
    return value.item() if isinstance(value, np.generic) else value


def _weights(sample_weight: Any, n: int) -> NDArray[np.float64]:
    """Checked weights of the images, [N].

    Raises:
        DataError: not one an image, negative, no finite numbers, or all zero.
    """
    try:
        weights_N = np.asarray(sample_weight, np.float64)
    except (TypeError, ValueError):
        weights_N = np.full(n, np.nan)
    if weights_N.ndim == 0:
        weights_N = np.full(n, float(weights_N))
    if weights_N.shape != (n,):
        raise DataError(f"sample_weight has shape {list(weights_N.shape)} for {n} images; expected one number each.")
    if not (np.isfinite(weights_N).all() and (weights_N >= 0).all()):
        raise DataError("sample_weight holds something else; expected finite numbers of 0 or more.")
    if not weights_N.any():
        raise DataError("sample_weight: every weight is zero, so no image would teach anything; expected some above 0.")
    return weights_N


def _names(groups: Any, n: int) -> list[str]:
    names = [str(group) for group in np.asarray(groups).ravel().tolist()]
    if len(names) != n:
        raise DataError(f"groups has {len(names)} entries for {n} images; expected one each.")
    return names


def group_numbers(groups: Any, images: Images | Sequence[object]) -> NDArray[np.int64]:
    """Number of each image's group, [N]."""
    _, numbers_N = np.unique(_names(groups, len(images)), return_inverse=True)
    return numbers_N.astype(np.int64)


def _read_facts(bundle: Bundle, name: str) -> dict[str, Any]:
    path = bundle.directory / ESTIMATOR
    if not path.is_file():
        return {}
    try:
        facts = parse_json(read_file(path).decode())
        written_by = facts["estimator"]
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}). Save the model again.") from None
    except (ValueError, TypeError, KeyError) as error:
        raise BundleError(f"{path} cannot be read ({error}). Save the model again.") from None
    if written_by != name:
        raise BundleError(
            f"{bundle.directory} was saved by {written_by}; load it with {written_by}.load, not {name}'s."
        )
    return dict(facts)
