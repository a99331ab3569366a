"""``predictions.csv``: whatever goes in comes out, to the bit."""

import csv

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from svertka.errors import DataError, NotFoundError
from svertka.evaluate import load_predictions, predicted_labels, probabilities, save_predictions
from svertka.evaluate.predictions import softmax
from svertka.schema import Predictions

NAMES = ("тест, класс", 'with "quotes"', "line\nbreak", "logit:p:x", "=1+1", "bad \udcff byte", "")


def made(logits, labels, paths, names):
    return Predictions(
        logits_NK=np.asarray(logits, dtype=np.float32),
        labels_N=np.asarray(labels, dtype=np.int64),
        paths=tuple(paths),
        class_names=tuple(names),
    )


def assert_same(one, other):
    assert one.logits_NK.dtype == other.logits_NK.dtype == np.float32
    assert one.logits_NK.tobytes() == other.logits_NK.tobytes()
    assert one.labels_N.dtype == other.labels_N.dtype == np.int64
    assert one.labels_N.tolist() == other.labels_N.tolist()
    assert (one.paths, one.class_names) == (other.paths, other.class_names)


def test_odd_names_and_extreme_logits_come_back_exactly(tmp_path):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(len(NAMES), len(NAMES))).astype(np.float32)
    logits[0, :6] = [np.inf, -np.inf, 3.4028235e38, 1e-45, -0.0, 1 / 3]
    paths = [f"папка/{name}/\r.png" for name in NAMES]
    predictions = made(logits, range(len(NAMES)), paths, NAMES)
    save_predictions(predictions, tmp_path / "p.csv")
    assert_same(load_predictions(tmp_path / "p.csv"), predictions)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"]) | st.just("\udc80"), max_size=8),
            st.integers(0, 1),
            st.tuples(st.floats(width=32, allow_nan=False), st.floats(width=32, allow_nan=False)),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_any_path_and_any_number_come_back_exactly(tmp_path, rows):
    predictions = made([r[2] for r in rows], [r[1] for r in rows], [r[0] for r in rows], ["a", "b"])
    save_predictions(predictions, tmp_path / "p.csv", temperature=2.5)
    assert_same(load_predictions(tmp_path / "p.csv"), predictions)


def test_the_file_is_readable_by_people(tmp_path):
    save_predictions(made([[0, 2], [3, 1]], [1, 1], ["a.png", "b.png"], ["cat", "dog"]), tmp_path / "p.csv", 2.0)
    with (tmp_path / "p.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "label", "predicted", "confidence", "p:cat", "p:dog", "logit:cat", "logit:dog"]
    assert [(r["path"], r["label"], r["predicted"]) for r in rows] == [("a.png", "dog", "dog"), ("b.png", "dog", "cat")]
    assert float(rows[0]["p:dog"]) == pytest.approx(1 / (1 + np.exp(-1)), abs=1e-6)
    assert rows[0]["confidence"] == rows[0]["p:dog"]
    assert rows[0]["logit:dog"] == "2.0"


def test_probabilities_sum_to_one_and_do_not_overflow():
    predictions = made([[1e30, -1e30, 0], [np.inf, np.inf, 0], [-np.inf] * 3, [1, 2, 3]], [0] * 4, "abcd", "xyz")
    table = probabilities(predictions, 0.5)
    assert table.sum(axis=1) == pytest.approx(1)
    assert table[0].tolist() == [1, 0, 0]
    assert table[1].tolist() == [0.5, 0.5, 0]
    assert table[2] == pytest.approx(1 / 3)
    assert table[3] == pytest.approx(softmax(np.array([[-4.0, -2.0, 0.0]]))[0])
    assert predicted_labels(predictions).tolist() == [0, 0, 0, 2]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(NotFoundError, match=r"none\.csv does not exist; expected the predictions\.csv"):
        load_predictions(tmp_path / "none.csv")


HEADER = "path,label,predicted,confidence,p:a,p:b,logit:a,logit:b\r\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has the columns ; expected path, label"),
        ("id,class\r\n1,2\r\n", "has the columns id, class; expected"),
        (HEADER.replace("p:b,", ""), "expected path, label"),
        (HEADER + "x,a,a,1,1,0,0.5,oops\r\n", r"row 2: .*oops.*one of a, b"),
        (HEADER + "x,c,a,1,1,0,0.5,0.1\r\n", "row 2: 'c'"),
        (HEADER + "x,a,a,1,1,0,0.5,0.1\r\nx,a\r\n", "row 3: 2 fields; expected 8"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, text, message):
    path = tmp_path / "p.csv"
    path.write_bytes(text.encode())
    with pytest.raises(DataError, match=message):
        load_predictions(path)
