"""How long ``svertka --help`` keeps the processor busy, against Python doing nothing. User and system time."""

import sys

from common import Row, Side, alternate, arguments, load, run, svertka, write_result


def main() -> None:
    options = arguments(__doc__, rounds=20).parse_args()
    busy = load()
    sides = {
        "svertka --help": lambda: svertka("--help").cpu_seconds,
        "python -c pass": lambda: run([sys.executable, "-c", "pass"]).cpu_seconds,
    }
    alternate(sides, 2)  # fills the page cache and writes compiled modules
    samples = alternate(sides, 3 if options.tiny else options.rounds)
    measured = {name: Side(unit="s", samples=values) for name, values in samples.items()}
    ours, empty = (measured[name].median for name in sides)
    what = "processor time of `svertka --help`"
    write_result(
        "startup",
        "Start-up",
        sides=measured,
        rows=[
            Row(
                what=what,
                against="`python -c pass`",
                measured=ours / empty,
                target=6,
                better="at most",
                unit="times as long",
            ),
            Row(what=what, against="", measured=ours, target=0.3, better="at most", unit="s"),
        ],
        config={},
        threads=1,
        warm_up="2 rounds",
        started_load=busy,
        tiny=options.tiny,
    )


if __name__ == "__main__":
    main()
