"""Colours of the page, worked out as a browser does it: every text in the confusion matrix can be read."""

import re
from itertools import product

import numpy as np
import pytest

from svertka.messages.translator import Translator
from svertka.report.results import tone
from svertka.report.templating import make_environment

# Björn Ottosson, A perceptual color space for image processing (2020): linear sRGB to cone responses to Oklab.
CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


def linear(colour):
    digits = colour.lstrip("#")
    digits = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
    srgb = np.array([int(digits[i : i + 2], 16) for i in (0, 2, 4)]) / 255
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def mixed(first, second, share):
    """``color-mix(in oklab, first share, second)``, linear sRGB."""
    lab = share * (OKLAB @ np.cbrt(CONES @ linear(first))) + (1 - share) * (OKLAB @ np.cbrt(CONES @ linear(second)))
    return np.clip(np.linalg.inv(CONES) @ (np.linalg.inv(OKLAB) @ lab) ** 3, 0, 1)


def contrast(one, other):
    """Of two linear colours, by WCAG 2."""
    dark, light = sorted((LUMINANCE @ one, LUMINANCE @ other))
    return (light + 0.05) / (dark + 0.05)


@pytest.fixture(scope="module")
def css():
    environment = make_environment(Translator("en"), html=True)
    return "".join(environment.get_template(name).render() for name in ("style.css.j2", "charts.css"))


@pytest.fixture(scope="module")
def themes(css):
    blocks = [dict(re.findall(r"--([\w-]+):(#\w+)", block)) for block in re.findall(r"\{([^{}]*--paper:[^{}]*)\}", css)]
    light, dark, button = blocks
    assert dark == button != light
    return {"light": light, "dark": dark}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_cell_of_the_matrix_can_be_read(css, themes, theme):
    colours = themes[theme]
    assert ".matrix td{color:var(--on-pale)" in css
    assert ".matrix td.deep{color:var(--on-deep)}.matrix td.deeper{color:var(--on-deeper)}" in css
    for kind in ("right", "wrong"):
        rule = rf"td\.{kind}\{{background:color-mix\(in oklab,var\(--(\w+)\) calc\((\d+)% \+ (\.\d+)\*var\(--p\)\),"
        hue, base, slope = re.search(rule + r"var\(--soft\)\)", css).groups()
        for percent in range(101):
            background = mixed(colours[hue], colours["soft"], (int(base) + float(slope) * percent) / 100)
            text = colours["on-" + (tone(kind, percent) or "pale")]
            assert contrast(linear(text), background) >= 4.5, (kind, percent, text)
    assert contrast(linear(colours["muted"]), linear(colours["soft"])) >= 4.5  # cells without images


@pytest.mark.parametrize(("theme", "other"), list(product(["light", "dark"], ["paper", "blue"])))
def test_the_bar_of_validation_images_stands_out(css, themes, theme, other):
    share = re.search(r"rect\.val\{fill:color-mix\(in oklab,var\(--blue\) (\d+)%,var\(--paper\)\)\}", css)[1]
    colours = themes[theme]
    assert contrast(mixed(colours["blue"], colours["paper"], int(share) / 100), linear(colours[other])) >= 2.2
