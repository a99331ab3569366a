"""Decode and resize with ImageFolder, PIL and torchvision's v1 transforms.

``--float`` ends in ToTensor, as in the course (floats, channels first); without it in PILToTensor (bytes, channels
first), so that nothing but decoding and resizing is compared. Prints one line of JSON.

Usage: imagefolder_decode.py FOLDER [--float]
"""

import argparse
import hashlib
import json
import time
from pathlib import Path

from network import SIZE_PX
from torchvision import datasets, transforms

WARM_UP = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--float", action="store_true")
    options = parser.parse_args()
    last = transforms.ToTensor() if options.float else transforms.PILToTensor()
    images = datasets.ImageFolder(options.folder, transforms.Compose([transforms.Resize((SIZE_PX, SIZE_PX)), last]))
    for number in range(min(WARM_UP, len(images))):
        images[number]
    start = time.perf_counter()
    prepared = [images[number][0] for number in range(len(images))]
    seconds = time.perf_counter() - start
    if options.float:
        prepared = [(tensor * 255).round().byte() for tensor in prepared]
    digests = {
        Path(path).name: hashlib.sha256(tensor.permute(1, 2, 0).contiguous().numpy().tobytes()).hexdigest()
        for (path, _), tensor in zip(images.samples, prepared, strict=True)
    }
    print(json.dumps({"images_per_second": len(images) / seconds, "digests": digests}))


if __name__ == "__main__":
    main()
