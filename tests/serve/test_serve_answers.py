"""What the server says is what the library says: predictions, maps, facts, rejections."""

import csv
import gzip
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from serving import form, noise, picture

from svertka.bundle.bundle import load_bundle
from svertka.bundle.predictor import open_predictor, predict_content
from svertka.data.decode import load_content
from svertka.explain.cam import GRID, evidence
from svertka.explain.opened_bundle import open_network
from svertka.page.model_facts import model_facts
from svertka.serve.problems import preferred_language


def test_answers_are_those_of_the_verb(server, conv_bundle, tmp_path):
    for seed in range(3):
        (tmp_path / f"{seed}.png").write_bytes(noise(seed=seed))
    code = "import sys; from svertka.cli import main; main()"
    command = [sys.executable, "-c", code, "predict", str(conv_bundle), str(tmp_path)]
    rows = list(csv.DictReader(io.StringIO(subprocess.run(command, capture_output=True, text=True, check=True).stdout)))
    assert len(rows) == 3
    for row in rows:
        answer = server.predict(Path(row["path"]).read_bytes(), "?model=conv").json["predictions"][0]
        assert answer["label"] == row["label"]
        assert answer["probability"] == pytest.approx(float(row["confidence"]), abs=1e-6)
        for name, p in answer["probabilities"].items():
            assert p == pytest.approx(float(row[f"p:{name}"]), abs=1e-6)
        unsure = f"unsure: {' | '.join(answer['possible'])}" if answer["possible"] else "unsure (no class is possible)"
        assert row["answer"] == (answer["label"] if answer["answer"] == "answered" else unsure)


def test_one_answer_has_all_that_is_known(server, tiny_bundle):
    content = picture((30, 20, 230))
    answer = server.predict(content)
    assert answer.status == 200
    of_bytes = predict_content(open_predictor(tiny_bundle, threads=1), content)
    assert answer.json["model"] == {"name": "tiny", "sha256": model_facts(tiny_bundle, "tiny")["sha256"]}
    assert answer.json["predictions"] == [
        {
            "file": None,
            "label": "blue",
            "probability": float(of_bytes.probabilities_K.max()),
            "probabilities": dict(zip(("blue", "green", "red"), of_bytes.probabilities_K.tolist(), strict=True)),
            "answer": None,
            "possible": None,
            "distance": None,
            "distance_percentile": None,
            "out_of_distribution": None,
            "notes": [],
        }
    ]


def test_notes_say_how_an_image_was_read(server):
    stream = io.BytesIO()
    Image.new("RGBA", (20, 20), (255, 0, 0, 128)).save(stream, "PNG")
    assert server.predict(stream.getvalue()).json["predictions"][0]["notes"] == ["alpha_composited"]


RUSSIAN = {
    "empty": "пустой файл. В файле ноль байт",
    "not_an_image": "это не изображение. Содержимое файла — не изображение, несмотря на расширение",
    "truncated": "файл повреждён (не хватает конца). У файла не хватает конца. Скопируйте или скачайте его ещё раз",
    "unsupported": "формат не поддерживается. Этот формат не поддерживается. Сохраните изображение как PNG или JPEG",
}


def test_a_form_holds_several_images_and_each_has_its_answer(server):
    body, headers = form([("a.png", picture()), ("b ü.txt", b"no image"), (None, picture((10, 200, 40)))])
    answer = server.ask("POST", "/v1/predict", body, headers)
    assert answer.status == 200
    first, second, third = answer.json["predictions"]
    assert (first["file"], first["label"]) == ("a.png", "red")
    assert second == {
        "file": "b ü.txt",
        "error": {"reason": "not_an_image", "detail": "not an image: text: 'no image'"},
    }
    assert (third["file"], third["label"]) == (None, "green")
    russian = server.ask("POST", "/v1/predict", body, headers | {"Accept-Language": "ru"}).json["predictions"][1]
    assert russian["error"] == {"reason": "not_an_image", "detail": RUSSIAN["not_an_image"]}


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty"), (b"words", "not_an_image"), (picture()[:60], "truncated"), (b"<svg xmlns=''/>", "unsupported")],
)
def test_an_image_that_cannot_be_used_is_a_problem_with_its_reason(server, content, reason):
    answer = server.predict(content)
    assert (answer.status, answer.problem, answer.json["reason"]) == (422, "image-rejected", reason)
    russian = server.predict(content, **{"Accept-Language": "ru"}).json["detail"]
    assert russian == f"Изображение не распознано: {RUSSIAN[reason]}."


def test_problems_speak_the_language_of_the_client(server):
    english, russian = (server.predict(b"", **{"Accept-Language": each}) for each in ("de, en;q=0.5", "ru-RU,ru;q=0.9"))
    assert english.json["title"] == "The image cannot be used"
    assert russian.json["title"] == "Изображение не подходит"
    assert russian.headers["content-language"] == "ru"
    assert "empty" not in russian.json["detail"]


@pytest.mark.parametrize(
    ("accepted", "language"),
    [("", "en"), ("ru", "ru"), ("en;q=0.1, ru;q=0.2", "ru"), ("fr", "en"), ("ru;q=0", "en"), ("ru;q=x", "en"),
     ("RU-ru , en", "ru"), (",;,=", "en")],
)  # fmt: skip
def test_preferred_language(accepted, language):
    assert preferred_language(accepted) == language


def as_json(value):
    return json.loads(json.dumps(value))


def test_models_are_chosen_by_name(server, tiny_bundle, conv_bundle):
    assert server.ask("GET", "/v1/model").json["name"] == "tiny"
    facts = server.ask("GET", "/v1/model?model=conv").json
    assert facts == as_json(model_facts(load_bundle(conv_bundle), "conv"))
    assert facts["explains"] and not model_facts(tiny_bundle, "tiny")["explains"]
    assert server.ask("GET", "/v1/models").json == {"models": [as_json(model_facts(tiny_bundle, "tiny")), facts]}
    unknown = server.predict(picture(), "?model=none")
    assert (unknown.status, unknown.problem) == (404, "no-such-model")
    assert "tiny, conv" in unknown.json["detail"]


def test_explanations_are_those_of_the_library(server, conv_bundle):
    content = noise()
    network = open_network(conv_bundle)
    image_SSC, _ = load_content(content, network.preprocess)
    answer = server.ask("POST", "/v1/explain?model=conv&label=green", content)
    assert answer.status == 200
    expected_GG = evidence(network, network.look(image_SSC), network.class_names.index("green"))
    assert (answer.json["label"], answer.json["grid"]) == ("green", GRID)
    assert np.allclose(answer.json["evidence"], expected_GG, atol=1e-4)
    predicted = server.predict(content, "?model=conv").json["predictions"][0]
    assert answer.json["answer"] == {key: value for key, value in predicted.items() if key != "file"}
    assert server.ask("POST", "/v1/explain?model=conv", content).json["label"] == predicted["label"]


def test_an_explanation_may_be_a_picture(server):
    answer = server.ask("POST", "/v1/explain?model=conv", noise(), {"Accept": "image/png"})
    assert answer.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(answer.body)).size == (32, 32)


def test_what_cannot_be_explained_is_a_problem(server):
    assert server.ask("POST", "/v1/explain?model=tiny", picture()).problem == "no-map"
    unknown = server.ask("POST", "/v1/explain?model=conv&label=violet", picture())
    assert (unknown.status, unknown.problem) == (422, "no-such-class")
    assert server.ask("POST", "/v1/explain?model=conv", b"").json["reason"] == "empty"


def test_the_page_is_complete_and_may_do_nothing_else(server):
    page = server.ask("GET", "/")
    assert page.status == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "connect-src 'self'" in policy and "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert b"tiny" in page.body and b"conv" in page.body
    assert page.headers["x-content-type-options"] == "nosniff"
    zipped = server.ask("GET", "/", headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(zipped.body) == page.body


def test_health_and_metrics(server):
    assert server.ask("GET", "/healthz").json == {"status": "ok"}
    assert server.ask("GET", "/readyz").json == {"status": "ok"}
    server.predict(picture(), "?model=conv")
    server.predict(b"")
    text = server.ask("GET", "/metrics").body.decode()
    assert 'svertka_requests_total{route="/v1/predict",status="200"}' in text
    assert 'svertka_predictions_total{model="conv"}' in text
    assert 'svertka_images_rejected_total{reason="empty"}' in text
    assert 'svertka_request_seconds_bucket{le="0.005",route="/healthz"}' in text
    assert "svertka_requests_in_flight 0.0" in text


@pytest.mark.parametrize("path", ["/v1", "/v1/predict/", "//", "/..%2f..%2fetc/passwd", "/v1/../../etc/passwd", "/%00"])
def test_other_addresses_are_no_pages(server, path):
    answer = server.ask("GET", path)
    assert (answer.status, answer.problem) == (404, "no-such-page")
    assert f'route="{path}"' not in server.ask("GET", "/metrics").body.decode()


def test_other_methods_are_refused_by_name(server):
    for method, path, allowed in (("GET", "/v1/predict", "POST"), ("DELETE", "/v1/model", "GET, HEAD")):
        answer = server.ask(method, path)
        assert (answer.status, answer.problem) == (405, "wrong-method")
        assert sorted(answer.headers["allow"].split(", ")) == allowed.split(", ")
    assert server.ask("HEAD", "/v1/model").body == b""
