"""The catalogue: both languages complete and alike, plural forms right, errors helpful."""

import ast
import re
import string
from pathlib import Path

import pytest

import svertka
from svertka.messages import LANGUAGES, Translator, catalogue, plural_form, sentences, text
from svertka.schema import Notice

EN, RU = map(Translator, LANGUAGES)
FORMS = {"en": {"one", "other"}, "ru": {"one", "few", "many"}}


def placeholders(entry):
    sentences = [entry] if isinstance(entry, str) else list(entry.values())
    return {name for sentence in sentences for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}


def test_both_languages_have_the_same_keys():
    assert set(catalogue("en")) == set(catalogue("ru"))


def test_both_languages_have_the_same_placeholders_and_kind():
    def shape(entry):
        return placeholders(entry), isinstance(entry, str)

    english, russian = ({key: shape(entry) for key, entry in catalogue(name).items()} for name in LANGUAGES)
    assert english == russian


@pytest.mark.parametrize("language", LANGUAGES)
def test_plural_entries_have_every_form_and_only_those(language):
    plural = {key: entry for key, entry in catalogue(language).items() if not isinstance(entry, str)}
    assert plural
    assert {key: set(entry) for key, entry in plural.items() if set(entry) != FORMS[language]} == {}


def test_russian_is_written_in_russian():
    # Names of metrics and methods that are the same in both languages, and values alone.
    same = {
        "classes.f1",
        "roc.title",
        "metric.roc_auc.name",
        "data.samples.alt",
        "explain.method.grad_cam",
        "phases.batch_norm",
    }
    latin = {
        key
        for key, entry in catalogue("ru").items()
        for sentence in ([entry] if isinstance(entry, str) else entry.values())
        if not re.search("[а-яё]", sentence, re.IGNORECASE)
    }
    assert latin == same


@pytest.mark.parametrize(
    ("form", "numbers"),
    [
        ("one", (1, 21, 101, 1001)),
        ("few", (2, 4, 22, 103, 1672)),
        ("many", (0, 5, 11, 12, 14, 20, 25, 111, 112, 113)),
    ],
)
def test_russian_plural_forms(form, numbers):
    assert {plural_form(n, "ru") for n in numbers} == {form}


def test_plural_chooses_by_n():
    assert text("data.images", n=1) == "1 image"
    assert text("data.images", n=1672) == "1,672 images"
    assert [text("data.images", "ru", n=n) for n in (1, 3, 11)] == ["1 изображение", "3 изображения", "11 изображений"]


def test_counts_are_grouped_as_the_language_does_it():
    assert [EN.count(1672), EN.count(12_500)] == ["1,672", "12,500"]
    assert [RU.count(1672), RU.count(12_500)] == ["1672", "12\u202f500"]


def test_figure_and_percent_sign_stay_together():
    assert "95\u202f%" in text("metrics.interval")
    assert "95\u202f%" in text("headline.interval", n=2, interval="")  # also where there are plural forms


def notices_in_source():
    """Every ``Notice("code", {"value": …})`` that the package makes: where, code, names of the values."""
    root = Path(svertka.__file__).parent
    for file in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Notice":
                if [keyword.arg for keyword in node.keywords] == [None]:
                    continue  # Notice(**row): read back from a file
                where = f"{file.relative_to(root)}, line {node.lineno}"
                assert node.args and isinstance(node.args[0], ast.Constant), f"{where}: write the code out"
                values = node.args[1] if len(node.args) > 1 else ast.Dict(keys=[], values=[])
                assert isinstance(values, ast.Dict), f"{where}: write the values out"
                yield where, node.args[0].value, {key.value for key in values.keys}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_notice_has_its_sentence_and_every_sentence_its_notice(language):
    bodies = {key: entry for key, entry in catalogue(language).items() if re.fullmatch(r"notice\..*\.body", key)}
    made = list(notices_in_source())
    assert {f"notice.{code}.body" for _, code, _ in made} == set(bodies)
    wrong = [where for where, code, values in made if placeholders(bodies[f"notice.{code}.body"]) != values]
    assert wrong == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_tables_that_sentences_take_words_from_are_there(language):
    tables = {
        specification
        for entry in catalogue(language).values()
        for sentence in ([entry] if isinstance(entry, str) else entry.values())
        for _, _, specification, _ in string.Formatter().parse(sentence)
        if specification and not re.fullmatch(r"\+?[.0-9]*[dfg%]", specification)
    }
    assert {"among", "amount", "depth", "likeness", "model", "reject", "role", "samples", "suffix"} == tables
    assert {key.split(".")[0] for key in catalogue(language)} >= tables


def test_notices_speak_both_languages():
    missing = Notice("class_missing_in_part", {"part": "val", "names": ["кот", "пёс"]}, "warning")
    cut = Notice("epochs_cut", {"epoch_s": 41.6, "minutes": 2.5, "left_s": 130.0, "epochs": 3, "asked": 16})
    assert sentences(missing, cut) == (
        "The validation images show none of the classes “кот” and “пёс”; figures for these cannot be given there. "
        "Of the time given (2.5\u00a0min) 130\u00a0s were left to train in, enough for 3 of 16 epochs: one takes about "
        "42\u00a0s here."
    )
    assert sentences(missing, cut, language="ru") == (
        "Среди проверочных изображений нет классов «кот» и «пёс»; показателей для них там не будет. "
        "Из отведённых 2,5\u00a0мин на обучение осталось 130\u00a0с; этого хватило не на все эпохи, а на 3 из 16: одна "
        "занимает здесь около 42\u00a0с."
    )


def test_dictionaries_are_written_as_pairs_and_known_codes_as_words():
    skipped = Notice("other_files_skipped", {"n": 12_003, "kinds": {".txt": 12_000, "none": 3}})
    assert sentences(skipped, language="ru") == (
        "Пропущены 12\u202f003 файла, не являющиеся изображениями (.txt: 12\u202f000, без расширения: 3)."
    )


def test_words_for_codes():
    assert RU.known("step", "hand over") == "запись модели"
    assert [EN.known("step", "dance"), EN.known("step", "dance", otherwise="")] == ["dance", ""]


def test_long_lists_are_cut_with_the_rest_counted():
    assert [EN.listing(list("abcde"[:n])) for n in (0, 1, 3)] == ["", "“a”", "“a”, “b” and “c”"]
    assert EN.listing(list("abcdef")) == "“a”, “b”, “c”, “d”, “e” and “f”"  # "and 1 more" would be no shorter
    names = [f"class {number}" for number in range(40)]
    assert Translator("en", whole=True)("card.use.known", names=names).count("“class") == 40
    assert text("card.use.known", names=names).count("“class") == 5
    assert RU.listing(list("abcdefg")) == "«a», «b», «c», «d», «e» и ещё 2"


def test_values_are_never_read_as_templates():
    assert "{n}" in text("headline.task.two", first="{n}", second="b")


def test_a_notice_of_another_version_is_told_by_its_code():
    assert sentences(Notice("seen_by_nobody", {"n": 3})) == "[seen by nobody]"
    assert sentences(Notice("duplicates", {"exact": 1, "near": 2, "torn": 0})) == "[duplicates]"  # of a run of 0.1.0


def test_unknown_key_names_close_matches():
    with pytest.raises(KeyError, match=r"no message 'data.image' in the en catalogue. Did you mean data.images"):
        text("data.image", n=1)


def test_unknown_language_names_the_known_ones():
    with pytest.raises(KeyError, match=r"language is 'de'; expected one of en, ru"):
        text("data.title", "de")


def test_missing_value_is_named():
    with pytest.raises(KeyError, match=r"message 'unit.seconds' needs a value for 'value'; received \['seconds'\]"):
        text("unit.seconds", seconds=1)


def test_plural_without_a_number_is_refused():
    with pytest.raises(KeyError, match=r"'data.images' has plural forms and needs a whole number n; received n=None"):
        text("data.images")
