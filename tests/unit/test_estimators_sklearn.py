"""scikit-learn's own checks of an estimator. They bring tables; each row is drawn as a picture first."""

import numpy as np
from sklearn.utils import estimator_checks
from sklearn.utils._testing import assert_allclose
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import validate_data

from svertka import ImageClassifier

EXCEPTIONS = {
    "check_estimators_empty_data_messages": "asks for a sentence about columns; a picture without pixels is refused in "
    "words of its own (see test_estimators)",
    "check_sample_weight_equivalence_on_dense_data": "C and the temperature come from cross-validation, whose folds "
    "are others once an image is repeated; LogisticRegressionCV has the same exception in scikit-learn",
}


class OfTables(ImageClassifier):
    """Counts the columns, which images don't have, and leaves everything else to the classifier of images."""

    def fit(self, X, y, groups=None, sample_weight=None):
        return super().fit(self.drawn(X, reset=True), y, groups, sample_weight)

    def predict(self, X):
        return super().predict(self.drawn(X))

    def predict_proba(self, X):
        return super().predict_proba(self.drawn(X))

    def predict_log_proba(self, X):
        return super().predict_log_proba(self.drawn(X))

    def drawn(self, X, *, reset=False):
        """One stripe a column, the darker the smaller its value."""
        if hasattr(X, "tocsr") or np.asarray(X).ndim != 2:
            return X
        if reset or hasattr(self, "classes_"):
            validate_data(self, X, skip_check_array=True, reset=reset)
        values = np.asarray(X)
        if values.dtype.kind == "c":
            return values
        with np.errstate(invalid="ignore"):
            shade = 0.5 + 0.5 * values.astype(float) / (4 + np.abs(values.astype(float)))
        return np.repeat(np.repeat(shade[:, None, :], 32, axis=1), max(1, 32 // max(1, values.shape[1])), axis=2)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


@parametrize_with_checks(
    [OfTables(size_px=32, threads=1)], expected_failed_checks=lambda estimator: EXCEPTIONS, xfail_strict=True
)
def test_scikit_learn_accepts_it(estimator, check, monkeypatch):
    if check.func.__name__ == "check_methods_subset_invariance":
        monkeypatch.setattr(estimator_checks, "assert_allclose", alike_in_float32)
    check(estimator)


def alike_in_float32(x, y, rtol=0, atol=0, err_msg=""):
    """Networks compute in float32, and a batch's size decides in which order they add: 2e-7 apart is no mistake."""
    assert_allclose(x, y, rtol=0, atol=1e-6, err_msg=err_msg)
