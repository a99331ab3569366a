"""True convolution of a 12-megapixel image, kernels from 3 × 3 to 31 × 31: svertka against SciPy and OpenCV.

Random kernels (not separable), float32, the part where the kernel lies inside the image. SciPy: the best of
``scipy.signal``'s convolve2d (up to 5 × 5; beyond it is never the best), fftconvolve and oaconvolve. OpenCV's filter2D,
which is C++ with vector instructions, is measured as the limit if it is installed.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from common import ALLOCATOR_KEPT, Row, Side, alternate, arguments, load, python, write_result

KERNELS = (3, 5, 7, 9, 11, 15, 21, 31)
HEIGHT_PX, WIDTH_PX, TINY_PX = 3000, 4000, 300
REPEATS = 3


def methods(side: str, kernel: int) -> dict[str, Callable[[Any, Any], Any]]:
    """What one side has for a kernel of this size."""
    if side == "svertka":
        from svertka.engine.filters import convolve

        return {"convolve": lambda x, w: convolve(x, w, padding="valid")}
    if side == "OpenCV":
        import cv2

        cv2.setNumThreads(1)
        return {"filter2D": lambda x, w: cv2.filter2D(x, -1, w[::-1, ::-1].copy())}
    from scipy import signal

    found: dict[str, Callable[[Any, Any], Any]] = {
        name: (lambda x, w, name=name: getattr(signal, name)(x, w, mode="valid"))
        for name in ("fftconvolve", "oaconvolve")
    }
    return found | ({"convolve2d": lambda x, w: signal.convolve2d(x, w, mode="valid")} if kernel <= 5 else {})


def measure(side: str, tiny: bool) -> None:
    """One side in its own process: prints the best method's seconds for each kernel."""
    rng = np.random.default_rng(0)
    x = rng.random((TINY_PX, TINY_PX) if tiny else (HEIGHT_PX, WIDTH_PX), dtype=np.float32)
    best = {}
    for size in KERNELS:
        w = rng.standard_normal((size, size), np.float32)
        seconds = {}
        for name, function in methods(side, size).items():
            samples = []
            for _ in range(REPEATS + 1):
                start = time.perf_counter()
                function(x, w)
                samples.append(time.perf_counter() - start)
            seconds[name] = statistics.median(samples[1:])
        name = min(seconds, key=seconds.__getitem__)
        best[str(size)] = {"seconds": seconds[name], "method": name}
    print(json.dumps(best))


def main() -> None:
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        measure(options.side, options.tiny)
        return
    busy, script = load(), Path(sys.argv[0]).resolve()
    names = ["svertka", "SciPy", *(["OpenCV"] if find_spec("cv2") else [])]
    words = ("--tiny",) if options.tiny else ()

    def run_side(name: str) -> Any:
        return python(script, "--side", name, *words, env=ALLOCATOR_KEPT).last_json()

    samples = alternate({name: (lambda name=name: run_side(name)) for name in names}, options.rounds)
    sides, rows, median = {}, [], {}
    for name, runs in samples.items():
        for size in map(str, KERNELS):
            used = sorted({result[size]["method"] for result in runs})
            side = Side(unit="s", samples=[result[size]["seconds"] for result in runs], note=", ".join(used))
            sides[f"{name}, {size} × {size}"] = side
            median[name, size] = side.median
    for size in map(str, KERNELS):
        limit = f"OpenCV filter2D {median['OpenCV', size]:.3f} s" if "OpenCV" in names else ""
        rows.append(
            Row(
                what=f"True convolution, 12 megapixels, {size} × {size}",
                against="scipy.signal, its best method",
                measured=median["SciPy", size] / median["svertka", size],
                target=1.0,
                note=limit,
            )
        )
    write_result(
        "true_convolution",
        "True convolution of an image",
        sides=sides,
        rows=rows,
        config={"image": f"{WIDTH_PX} × {HEIGHT_PX} px, float32; random kernels; median of {REPEATS} calls a round"},
        threads=1,
        warm_up="one call a method and kernel",
        started_load=busy,
        tiny=options.tiny,
    )


if __name__ == "__main__":
    main()
