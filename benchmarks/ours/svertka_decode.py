"""Decode and resize as svertka's scan, training and prediction do. Prints one line of JSON.

Usage: svertka_decode.py FOLDER
"""

import hashlib
import json
import sys
import time
from pathlib import Path

from svertka.data.decode import decode
from svertka.data.preprocess import apply_to_image
from svertka.schema import Preprocess

WARM_UP = 8
PREPROCESS = Preprocess(size_px=224, resize="squash", interpolation="bilinear")  # as torchvision's Resize


def main() -> None:
    files = sorted(path for path in Path(sys.argv[1]).rglob("*") if path.is_file())
    for file in files[:WARM_UP]:
        apply_to_image(PREPROCESS, decode(file).image)
    start = time.perf_counter()
    prepared = [apply_to_image(PREPROCESS, decode(file).image) for file in files]
    seconds = time.perf_counter() - start
    digests = {
        file.name: hashlib.sha256(image.tobytes()).hexdigest() for file, image in zip(files, prepared, strict=True)
    }
    print(json.dumps({"images_per_second": len(files) / seconds, "digests": digests}))


if __name__ == "__main__":
    main()
