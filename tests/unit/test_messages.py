"""The catalogue: both languages complete and alike, plural forms right, errors helpful."""

import re
import string

import pytest

from svertka.messages import LANGUAGES, catalogue, count, has, plural_form, text

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
    # Names of metrics that are the same in both languages, and values alone.
    same = {"classes.f1", "roc.title", "metric.roc_auc.name", "data.samples.alt"}
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
    assert [count(1672), count(12_500)] == ["1,672", "12,500"]
    assert [count(1672, "ru"), count(12_500, "ru")] == ["1672", "12\u202f500"]


def test_figure_and_percent_sign_stay_together():
    assert "95\u202f%" in text("metrics.interval")


def test_values_are_never_read_as_templates():
    assert "{n}" in text("headline.task.two", first="{n}", second="b")


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


def test_has():
    assert has("reject.truncated", "ru")
    assert not has("reject.unheard_of")
