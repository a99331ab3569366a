"""Decode and resize as svertka's scan, training and prediction do. Prints one line of JSON.

Usage: svertka_decode.py FOLDER [THREADS]
"""

import hashlib
import json
import sys
import time
from pathlib import Path

import numpy as np

from svertka.data.decode import decode
from svertka.data.preprocess import apply_to_image
from svertka.data.scan import in_threads
from svertka.schema import Preprocess

WARM_UP = 8
PREPROCESS = Preprocess(size_px=224, resize="squash", interpolation="bilinear")  # as torchvision's Resize


def prepare(file: Path) -> np.ndarray:
    """The image as the network will see it: [S, S, 3] bytes."""
    return apply_to_image(PREPROCESS, decode(file).image)


def main() -> None:
    files = sorted(path for path in Path(sys.argv[1]).rglob("*") if path.is_file())
    threads = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    list(in_threads(prepare, files[:WARM_UP], threads))
    start = time.perf_counter()
    prepared = list(in_threads(prepare, files, threads))
    seconds = time.perf_counter() - start
    digests = {
        file.name: hashlib.sha256(image.tobytes()).hexdigest() for file, image in zip(files, prepared, strict=True)
    }
    print(json.dumps({"images_per_second": len(files) / seconds, "digests": digests}))


if __name__ == "__main__":
    main()
