"""A second ``svertka train --strategy probe`` on an unchanged folder against the first. Whole processes, one core."""

from pathlib import Path

from common import Row, Side, alternate, arguments, load, public_split, scratch, subset, train_probe, write_result


def both(data: Path) -> tuple[float, float]:
    """Seconds of a first run with an empty cache, and of a second one right after it."""
    with scratch() as fresh:
        first = train_probe(data, fresh / "first", cache=fresh / "cache")
        second = train_probe(data, fresh / "second", cache=fresh / "cache")
        same = [(fresh / run / "predictions.csv").read_bytes() for run in ("first", "second")]
        if same[0] != same[1]:
            raise SystemExit("The second run predicts otherwise than the first: the cache changes results.")
        return first.seconds, second.seconds


def main() -> None:
    options = arguments(__doc__, rounds=3).parse_args()
    busy = load()
    with scratch() as folder:
        data = subset(public_split(), folder / "tiny", 12) if options.tiny else public_split()
        pairs = alternate({"pair": lambda: both(data)}, options.rounds)["pair"]
    first, second = zip(*pairs, strict=True)
    sides = {"first": Side(unit="s", samples=first), "second": Side(unit="s", samples=second)}
    write_result(
        "second_train",
        "The second run on an unchanged folder",
        sides=sides,
        rows=[
            Row(
                what="second `svertka train --strategy probe`, same predictions",
                against="the first",
                measured=sides["first"].median / sides["second"].median,
                target=8,
            )
        ],
        config={"data": "elpv-dataset, public split: 2,624 images"},
        threads=1,
        warm_up="none: both are whole processes, the first with an empty cache",
        started_load=busy,
        tiny=options.tiny,
    )


if __name__ == "__main__":
    main()
