"""The page's HTML: nothing of a stranger's leaves its place, and every sentence is there that the script asks for."""

import base64
import gzip
import hashlib
import json
import re
from pathlib import Path

import pytest

from svertka.messages import LANGUAGES
from svertka.page.inline_page import asset, script_json
from svertka.page.model_facts import model_facts, model_name
from svertka.page.page_html import SampleImage, local_page, page_texts, served_page
from svertka.schema import Conformal

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "web/page").glob("*.ts*"))
HOSTILE = "</script><script>alert(1)</script><!-- \u2028 &lt; \ud800"


@pytest.fixture(scope="module")
def facts(tiny_bundle):
    return model_facts(tiny_bundle, "tiny")


def data_of(html: str):
    (found,) = re.findall(r'<script id="svertka" type="application/json">(.*?)</script>', html, re.DOTALL)
    return json.loads(found)


def test_facts_are_those_of_the_bundle(tiny_bundle, facts):
    assert facts == {
        "name": "tiny",
        "classes": ["blue", "green", "red"],
        "positive": "",
        "preprocess": tiny_bundle.preprocess.as_fields(),
        "coverage": None,
        "remembers": False,
        "explains": False,
        "parity_n": 7,
        "metrics": {"accuracy": {"value": 0.9, "low": 0.8, "high": 0.95, "n": 40}},
        "sources": [{"name": "made by a test", "origin": "tests", "licence": "Apache-2.0"}],
        "format": 2,
        "svertka": tiny_bundle.manifest["svertka"],
        "sha256": hashlib.sha256((tiny_bundle.directory / "model.onnx").read_bytes()).hexdigest(),
    }
    json.dumps(facts, allow_nan=False)


def test_facts_tell_of_thresholds(write_tiny_bundle, tmp_path):
    conformal = Conformal(target=0.8, thresholds=(0.1, 0.2, 0.3), counts=(9, 9, 9))
    assert model_facts(write_tiny_bundle(tmp_path / "b", conformal=conformal), "b")["coverage"] == 0.8


def test_a_model_is_named_by_its_folder_or_run(tiny_bundle, write_tiny_bundle, tmp_path):
    assert model_name(write_tiny_bundle(tmp_path / "cells-3/bundle").directory) == "cells-3"
    assert model_name(write_tiny_bundle(tmp_path / "cats").directory) == "cats"


def test_json_in_a_script_ends_no_script():
    text = script_json({HOSTILE: [HOSTILE]})
    assert not re.search(r"[<>&]", text)
    assert json.loads(text) == {HOSTILE: [HOSTILE]}
    text.encode()


def test_a_page_of_hostile_names_is_one_script_and_its_data(facts):
    hostile = facts | {"name": HOSTILE, "classes": [HOSTILE, "b"]}
    page = served_page([hostile])
    assert page.html.count("<script") == 2 and page.html.count("</script>") == 2
    assert data_of(page.html)["models"] == [json.loads(json.dumps(hostile))]
    page.html.encode()


def test_the_policy_knows_script_and_style_by_their_hash(facts):
    page = served_page([facts])
    for element, directive in (("script", "script-src"), ("style", "style-src")):
        (text,) = re.findall(rf"<{element}>(.*?)</{element}>", page.html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in page.policy
    assert page.policy.startswith("default-src 'none'; ")
    assert "connect-src 'self'" in page.policy
    assert "unsafe" not in page.policy


def test_a_server_offers_what_it_reads_and_a_page_alone_what_its_script_reads(facts):
    assert {"image/*", ".jp2", ".psd"} <= set(data_of(served_page([facts]).html)["accept"].split(","))
    assert "accept" not in data_of(local_page(facts, "", [], {}, {}))


def test_the_page_that_computes_itself_may_connect_to_nothing(facts):
    sample = SampleImage(name="a.png", content=b"\x89PNG")
    html = local_page(facts, "ru", [sample], {"svertka-model": "QUJD"}, {"manifest": "{}"})
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    assert "default-src &#x27;none&#x27;" in policy and "connect-src &#x27;none&#x27;" in policy
    assert html.index("Content-Security-Policy") < html.index("<script") and html.index(policy) < html.index("<style")
    data = data_of(html)
    assert (data["backend"], data["language"], data["manifest"]) == ("local", "ru", "{}")
    assert data["samples"] == [{"name": "a.png", "data": base64.b64encode(b"\x89PNG").decode()}]
    assert '<html lang="ru">' in html
    assert '<script id="svertka-model" type="text/plain">QUJD</script>' in html


@pytest.mark.parametrize("name", ["page.js", "page.css"])
def test_assets_may_stand_inside_the_page(name):
    assert not re.search(r"</(script|style)|<!--", asset(name), re.IGNORECASE)


def test_script_and_style_are_small():
    together = "".join(map(asset, ("page.js", "page.css", "worker.js"))).encode()
    assert len(gzip.compress(together)) < 150_000


def asked_keys() -> set[str]:
    """Keys of texts that stand in the script; ``*`` where a part is put in."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in SCRIPTS)
    tables = r"(?:web|headline|interval|metrics?|names|card|methods|page|samples|reject)"
    found = re.findall(rf'["`]({tables}\.[\w.${{}}]*)["`]', text)
    return {re.sub(r"\$\{[^}]*\}", "*", key) for key in found}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_that_the_script_asks_for_is_in_the_page(language):
    texts = page_texts(language)
    for key in asked_keys():
        pattern = re.compile(re.escape(key).replace(r"\*", r"[\w.]+"))
        assert any(pattern.fullmatch(each) for each in texts), key


def test_no_sentence_of_the_page_is_left_over():
    patterns = [re.compile(re.escape(key).replace(r"\*", r"\w+")) for key in asked_keys()]
    used = {key for key in page_texts("en") if any(pattern.fullmatch(key) for pattern in patterns)}
    assert {key for key in page_texts("en") if key.startswith("web.")} - used == {"web.no_script"}
