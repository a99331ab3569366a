"""``svertka lab size``: how large outputs are, layer by layer, with the numbers in the formula; no image is needed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated

import typer

from svertka.cli.lab.typed_numbers import whole_pair, window_of
from svertka.cli.lab.windows import check_half, checked_output, is_uneven, size_lines, unseen
from svertka.cli.lab.words import labelled, sides_text, size_text, words, wrapped
from svertka.cli.options import Language, Padding, Stride
from svertka.engine.geometry import Pair, ReceptiveField, Window
from svertka.errors import ConfigError

_KINDS = {
    **dict.fromkeys(("conv", "свёртка", "свертка"), "conv"),
    **dict.fromkeys(("pool", "max", "avg", "mean", "пулинг"), "pool"),
}
_BEGINS = re.compile(rf"(?:torch\.)?(?:nn\.)?({'|'.join(_KINDS)})[\w-]*", re.IGNORECASE)
_SETTINGS = {"k": "kernel", "w": "kernel", "f": "kernel", "s": "stride", "p": "padding", "d": "dilation"}
_IN_ORDER = ("kernel", "stride", "padding", "dilation")
_IN_TORCH = ("in_channels", "out_channels", *_IN_ORDER)
"""The order of ``Conv2d``; channels don't change a size."""
_MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class ChainLayer:
    """A convolution or a pooling."""

    kind: str
    """``conv`` or ``pool``."""
    window: Window

    def __str__(self) -> str:
        window = self.window
        kind = f"{words(f'size.{self.kind}')} {size_text(window.kernel)}"
        told = [kind, words("stride", n=sides_text(window.stride))]
        if is_uneven(window):
            told.append(words("size.same_uneven"))
        elif any(window.before):
            told.append(words("size.padding", n=sides_text(window.before)))
        if window.dilation != (1, 1):
            told.append(words("size.dilation", n=sides_text(window.dilation)))
        return ", ".join(told)


def size(
    given: Annotated[str, typer.Argument(metavar="SIZE", help="Of the input: 224, or rows and columns: 224x128.")],
    layers: Annotated[
        list[str] | None,
        typer.Argument(metavar="LAYER", help='One after the other: "conv 7 2 3" "pool 3 2 1" (kernel stride padding).'),
    ] = None,
    kernel: Annotated[str, typer.Option(metavar="N", help="Side of the kernel, or rows and columns such as 3x5.")] = "",
    stride: Stride = "1",
    padding: Padding = "0",
    dilation: Annotated[str, typer.Option(metavar="N", help="Pixels from one kernel element to the next.")] = "1",
    language: Language = "",
) -> None:
    """Prints the formula with the numbers in it, for one kernel or for layers one after the other."""
    here = whole_pair(given, words("what.size"), 1, _MOST)
    if bool(layers) == bool(kernel):
        raise ConfigError(words("error.both" if kernel else "error.neither"))
    if layers and (stride, padding, dilation) != ("1", "0", "1"):
        raise ConfigError(words("error.both"))
    found = _read(" ".join(layers)) if layers else [ChainLayer("conv", _window(kernel, stride, padding, dilation))]
    lines = list(_chain(here, found) if layers else _single(here, found[0].window))
    print("\n".join(lines))


def _window(kernel: str, stride: str, padding: str, dilation: str) -> Window:
    return window_of(whole_pair(kernel, "--kernel", 1, _MOST), stride, padding, dilation, most_padding=_MOST)


def _read(text: str) -> list[ChainLayer]:
    """Layers such as ``conv 7 2 3``, ``conv k7 s2 p3``, ``nn.Conv2d(3, 64, 7, stride=(2, 2))`` or ``pool 2``."""
    text = re.sub(r"(?<=[=,\s])\((\d+)\s*,\s*(\d+)\)", r"\1x\2", text)
    tokens = [token for token in re.split(r"[\s,()=:]+", text) if token]
    starts = [n for n, token in enumerate(tokens) if _BEGINS.fullmatch(token)]
    if not starts or starts[0]:
        raise ConfigError(words("error.layer", text=tokens[0] if tokens else ""))
    return [_layer(tokens[a:b]) for a, b in zip(starts, [*starts[1:], len(tokens)], strict=True)]


def _layer(tokens: list[str]) -> ChainLayer:
    begins = _BEGINS.fullmatch(tokens[0])
    assert begins
    kind, settings, name = _KINDS[begins[1].lower()], dict[str, str](), ""
    order = _IN_TORCH if tokens[0].lower().endswith("conv2d") else _IN_ORDER
    for token in tokens[1:]:
        word = re.fullmatch(r"([a-z_]*?)[_-]?((?:\d+(?:[x×хX]\d+)?)|same|valid)?", token.lower())
        if not word or (word[1] and word[1][0] not in _SETTINGS):
            raise ConfigError(words("error.setting", text=token, layer=" ".join(tokens)))
        name = _SETTINGS[word[1][0]] if word[1] else name
        if word[2]:
            free = (each for each in order if each not in settings)
            name = name or ("padding" if word[2] in ("same", "valid") else next(free, ""))
            if not name or name in settings:
                raise ConfigError(words("error.setting", text=token, layer=" ".join(tokens)))
            settings[name], name = word[2], ""
    if "kernel" not in settings or name:
        raise ConfigError(words("error.no_side", layer=" ".join(tokens)))
    stride = settings.get("stride", settings["kernel"] if kind == "pool" else "1")
    padding = settings.get("padding", "0")
    found = _window(settings["kernel"], stride, padding, settings.get("dilation", "1"))
    if kind == "pool":
        check_half(found, padding)
    return ChainLayer(kind, found)


def _single(here: Pair, window: Window) -> Iterator[str]:
    done = checked_output(window, here)
    yield labelled("input", size_text(here))
    yield labelled("layer", str(ChainLayer("conv", window)))
    more = list(size_lines(here, window, words("conv.formula")))
    if window.dilation != (1, 1):
        more.append(_spans(window))
    if any(left := unseen(here, window)):
        more.append(words("size.unseen", rows=str(left[0]), columns=str(left[1])))
    yield labelled("output", size_text(done), *more)
    yield from _hint(here, window)


def _spans(window: Window) -> str:
    """How much of the input a dilated kernel covers."""
    covered = size_text((window.span(0, 1), window.span(1, 1)))
    return words("size.spans", n=sides_text(window.dilation), kernel=size_text(window.kernel), size=covered)


def _hint(here: Pair, window: Window) -> Iterator[str]:
    """Which padding keeps the size, or divides it by the stride."""
    same = replace(window, pads=Window.of(window.kernel, 1, "same", window.dilation).pads)
    if same.pads == window.pads:
        return
    (top, bottom), (left, right) = same.pads
    if is_uneven(same):
        how = words("size.uneven", top=str(top), bottom=str(bottom), left=str(left), right=str(right))
    else:
        how = f"--padding {top}" if top == left else f"--padding {top}x{left}"
    kind = "keeps" if window.stride == (1, 1) else "divides"
    yield labelled("hint", words(f"size.{kind}", how=how, size=size_text(same.output_size(here))))


def _chain(here: Pair, layers: list[ChainLayer]) -> Iterator[str]:
    """Two lines a layer: what it is, its output and what one number sees; the formula."""
    fields = [ReceptiveField(), ReceptiveField()]
    names = [f"{n}  {layer}" for n, layer in enumerate(layers, 1)]
    width = max(map(len, [*names, words("label.input")])) + 3
    rows = [(words("label.input"), size_text(here), "")]
    for n, (name, layer) in enumerate(zip(names, layers, strict=True), 1):
        try:
            done = checked_output(layer.window, here)
        except ConfigError as error:
            raise ConfigError(words("error.in_layer", n=n, layer=str(layer), why=str(error))) from error
        window = layer.window
        fields = [
            fields[axis].through(window.kernel[axis], window.stride[axis], window.pads[axis][0], window.dilation[axis])
            for axis in (0, 1)
        ]
        rows.append((name, size_text(done), words("size.sees", size=size_text([each.size_px for each in fields]))))
        rows.extend(("", "", line) for line in size_lines(here, window))
        here = done
    of_sizes = max(len(size) for _, size, _ in rows) + 3
    for name, size, more in rows:
        yield (f"{name:<{width}}{size:<{of_sizes}}{more}" if size else f"     {more}").rstrip()
    yield from wrapped(words("size.sees_at_all"))
