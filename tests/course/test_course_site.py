"""The course's site: one page that asks nothing of a network and has every sentence that its script asks for."""

import base64
import gzip
import hashlib
import json
import re
import webbrowser
from pathlib import Path

import pytest

from svertka.cli import course
from svertka.course.site import INDEX, is_site, policy, site_html, site_texts, write_site
from svertka.course.site_golden import main as write_cases
from svertka.course.site_golden import site_cases
from svertka.errors import ConfigError, NotFoundError
from svertka.messages import LANGUAGES
from svertka.page.inline_page import asset

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "web/course").rglob("*.ts*"))


def test_the_policy_is_in_the_page_and_forbids_what_it_does_not_name():
    html = site_html()
    assert html.index("Content-Security-Policy") < html.index("<style")
    for element, directive in (("script", "script-src"), ("style", "style-src")):
        text = re.findall(rf"<{element}>(.*?)</{element}>", html, re.DOTALL)[0]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy()
    assert policy().startswith("default-src 'none'; ") and "connect-src 'none'" in policy()
    assert "unsafe" not in policy()


def test_the_page_names_no_address_but_its_own():
    html = site_html()
    assert set(re.findall(r"https?://[^\s\"'`)<\\]+", html)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xhtml",
        "http://www.w3.org/1998/Math/MathML",
    }
    assert not re.search(r"\b(src|href)=[\"'](?!data:|#)", html.partition("<script")[0])


def test_the_same_sources_give_the_same_page_and_it_is_small():
    assert site_html() == site_html()
    assert len(gzip.compress(site_html().encode())) < 120_000


@pytest.mark.parametrize(("name", "end"), [("course.js", r"</script|<!--"), ("course.css", r"</style")])
def test_assets_may_stand_inside_the_page(name, end):
    assert not re.search(end, asset(name), re.IGNORECASE)


def asked_keys() -> set[str]:
    """Keys of texts that stand in the script; ``*`` where a part is put in."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in SCRIPTS)
    found = re.findall(r'["`]((?:site|web|page|names|lab)\.[\w.${}-]*)["`]', re.sub(r"\$\{[^}]*\}", "${}", text))
    return {key.replace("${}", "*") for key in found}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_that_the_script_asks_for_is_in_the_page(language):
    texts = site_texts(language)
    for key in asked_keys():
        pattern = re.compile(re.escape(key).replace(r"\*", r"[\w.-]+"))
        assert any(pattern.fullmatch(each) for each in texts), key


def test_no_sentence_of_the_site_is_left_over():
    patterns = [re.compile(re.escape(key).replace(r"\*", r"[\w-]+")) for key in asked_keys()]
    used = {key for key in site_texts("en") if any(pattern.fullmatch(key) for pattern in patterns)}
    left = {key for key in site_texts("en") if key.startswith("site.")} - used
    assert left == {"site.no_script"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_term_that_a_page_links_is_in_the_glossary_and_has_its_page(language):
    texts = site_texts(language)
    terms = {key.split(".")[2] for key in texts if key.startswith("site.term.")}
    linked = set(re.findall(r"\[\[([\w-]+)\|", json.dumps(texts, ensure_ascii=False)))
    listed = re.findall(r'^  "?([\w-]+)"?: "(\w+)",$', (ROOT / "web/course/terms.ts").read_text("utf-8"), re.MULTILINE)
    pages = {key.split(".")[1] for key in texts if re.fullmatch(r"site\.\w+\.number", key)}
    assert linked <= terms == {term for term, _ in listed}
    assert {page for _, page in listed} <= pages


def test_committed_cases_are_what_the_engine_computes(tmp_path):
    committed = json.loads((ROOT / "web/test/course/golden.json").read_text(encoding="utf-8"))
    write_cases(tmp_path / "golden.json")
    found = json.loads((tmp_path / "golden.json").read_text(encoding="utf-8"))
    assert committed.keys() == found.keys()
    for kind in found:
        assert len(committed[kind]) == len(found[kind])
        for one, other in zip(committed[kind], found[kind], strict=True):
            assert one.keys() == other.keys()
            for name in one:
                assert one[name] == other[name] or nearly(one[name], other[name]), (kind, one, name)
    assert sum(map(len, site_cases().values())) >= 2000


def nearly(one: object, other: object) -> bool:
    """Equal but for the last digits, which differ from one processor to the next."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(nearly, one, other))
    return one == pytest.approx(other, rel=1e-6, abs=1e-5)


def test_build_writes_a_folder_and_replaces_only_its_own(tmp_path, capsys):
    out = tmp_path / "site"
    course.build(str(out), "en")
    assert is_site(out) and str(out / INDEX) in capsys.readouterr().out
    (out / INDEX).write_text((out / INDEX).read_text("utf-8").replace("<title>", "<title>old "), "utf-8")
    course.build(str(out), "en")
    assert "<title>old" not in (out / INDEX).read_text("utf-8")


def test_build_leaves_what_is_not_its_own(tmp_path):
    (tmp_path / INDEX).write_text("<p>mine</p>")
    with pytest.raises(ConfigError, match="no course that svertka wrote"):
        write_site(tmp_path)
    assert (tmp_path / INDEX).read_text() == "<p>mine</p>"
    with pytest.raises(ConfigError, match="is a file"):
        write_site(tmp_path / INDEX)
    with pytest.raises(NotFoundError, match="does not exist"):
        course.build(str(tmp_path / "a" / "b"))
    empty = tmp_path / "empty"
    empty.mkdir()
    assert write_site(empty).is_file()


@pytest.mark.parametrize(("has_browser", "said"), [(True, "открыт в браузере"), (False, "Откройте этот файл")])
def test_open_writes_into_the_cache_and_says_where(tmp_path, monkeypatch, capsys, has_browser, said):
    opened = []
    monkeypatch.setenv("SVERTKA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or has_browser)
    course.open("ru")
    page = tmp_path / "cache" / "course" / INDEX
    assert is_site(page.parent)
    assert opened == [f"{page.as_uri()}#ru/start"]
    out = capsys.readouterr().out
    assert said in out and str(page) in out


def test_course_alone_opens_the_pages(tmp_path, monkeypatch, capsys):
    from svertka.cli.main import app

    opened = []
    monkeypatch.setenv("SVERTKA_CACHE", str(tmp_path))
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    for arguments in (["course"], ["course", "--language", "en"]):
        app(arguments, standalone_mode=False)
    assert [address.partition("#")[2] for address in opened] == ["", "en/start"]
    app(["course", "--help"], standalone_mode=False)
    assert len(opened) == 2 and "build" in capsys.readouterr().out
