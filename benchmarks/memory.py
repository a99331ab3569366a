"""Peak memory of ``svertka train --strategy probe`` as the folder grows 10 times: 262 and 2,624 images.

``--large`` adds 26,240 images: copies of the ELPV images with changed pixels (the eight symmetries of a square, and two
shifts by half a side), because equal or similar images would be recognised and computed once. Each is one run.
"""

import itertools
from pathlib import Path

import numpy as np
from common import Row, Side, arguments, load, public_split, scratch, subset, train_probe, write_result
from PIL import Image


def ten_times(folder: Path, out: Path) -> Path:
    """Ten different images for each one, class and split kept."""
    for file in sorted(folder.glob("*/*/*.png")):
        with Image.open(file) as image:
            pixels = np.asarray(image)
        side = min(pixels.shape[:2]) // 2
        variants = [np.rot90(turned, turns) for turned in (pixels, np.fliplr(pixels)) for turns in range(4)]
        variants += [np.roll(pixels, side, axis=0), np.roll(pixels, side, axis=1)]
        target = out / file.parent.relative_to(folder)
        target.mkdir(parents=True, exist_ok=True)
        for number, variant in enumerate(variants):
            Image.fromarray(variant).save(target / f"{file.stem}-{number}.png", compress_level=1)
    return out


def main() -> None:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--large", action="store_true", help="26,240 images too: needs 2 GB of disk and 10 minutes")
    options = parser.parse_args()
    busy, peak, minutes = load(), {}, {}
    with scratch() as folder:
        whole = public_split()
        data = {"262": subset(whole, folder / "tenth", 10), "2,624": whole}
        if options.tiny:
            data = {"26": subset(whole, folder / "few", 100), "262": ten_times(folder / "few", folder / "ten")}
        if options.large:
            data["26,240"] = ten_times(whole, folder / "ten")
        for name, images in data.items():
            samples = []
            for number in range(options.rounds):
                run = folder / f"run-{name}-{number}"
                done = train_probe(images, run, cache=folder / f"cache-{name}-{number}")
                samples.append(done.peak_memory_mb)
                minutes[name] = done.seconds / 60
            peak[f"{name} images"] = Side(
                unit="MB", samples=samples, figures={"minutes": round(minutes[name], 2)}, note="peak resident memory"
            )
    names = list(peak)
    write_result(
        "memory",
        "Memory as the folder grows",
        sides=peak,
        rows=[
            Row(
                what=f"peak memory with {larger}",
                against=f"with {smaller}",
                measured=peak[larger].median / peak[smaller].median,
                target=1.3,
                better="at most",
                unit="times as much",
            )
            for smaller, larger in itertools.pairwise(names)
        ],
        config={"command": "svertka train DATA --strategy probe", "measured": "ru_maxrss of the process"},
        threads=1,
        warm_up="none: whole processes with empty caches",
        started_load=busy,
        tiny=options.tiny,
    )


if __name__ == "__main__":
    main()
