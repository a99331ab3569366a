"""Start-up, in processor time: ``svertka --help`` against Python doing nothing, and the way to a first ResNet-18.

The latter is a process that imports a package, builds ResNet-18 with random weights and passes one image through it.
"""

import sys

from common import Row, Side, alternate, arguments, load, run, svertka, write_result

FORWARD = "import torch; network.eval()(torch.zeros(1, 3, 224, 224))"
OURS = f"from svertka.architectures import build; network = build('resnet18'); {FORWARD}"
THEIRS = f"from torchvision.models import resnet18; network = resnet18(); {FORWARD}"


def main() -> None:
    options = arguments(__doc__, rounds=20).parse_args()
    busy = load()
    sides = {
        "svertka --help": lambda: svertka("--help").cpu_seconds,
        "python -c pass": lambda: run([sys.executable, "-c", "pass"]).cpu_seconds,
        OURS: lambda: run([sys.executable, "-c", OURS]).cpu_seconds,
        THEIRS: lambda: run([sys.executable, "-c", THEIRS]).cpu_seconds,
    }
    alternate(sides, 2)  # fills the page cache and writes compiled modules
    samples = alternate(sides, 3 if options.tiny else options.rounds)
    measured = {name: Side(unit="s", samples=values) for name, values in samples.items()}
    ours, empty, first_forward, their_forward = (measured[name].median for name in sides)
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
            Row(
                what="import of `svertka.architectures` to ResNet-18's first forward pass",
                against="torchvision's",
                measured=first_forward / their_forward,
                target=1,
                better="at most",
                unit="times as long",
            ),
        ],
        config={},
        threads=1,
        warm_up="2 rounds",
        started_load=busy,
        tiny=options.tiny,
    )


if __name__ == "__main__":
    main()
