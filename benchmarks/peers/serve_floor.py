"""The floor of serving: decode and run, in as many threads as there are processors, with nothing around it.

Usage: python serve_floor.py BUNDLE FILE --seconds 10 --threads 2    (prints one line of JSON)
"""

import argparse
import io
import json
import threading
import time
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(options.bundle / "model.onnx"), settings)
    outputs = [each.name for each in session.get_outputs()]
    side = session.get_inputs()[0].shape[1]
    content = options.file.read_bytes()

    def predict() -> None:
        image = Image.open(io.BytesIO(content)).convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
        session.run(outputs, {"image": np.asarray(image)[None]})

    predict()
    counts = [0] * options.threads
    began = time.perf_counter()
    until = began + options.seconds

    def work(number: int) -> None:
        while time.perf_counter() < until:
            predict()
            counts[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(options.threads)]
    processor = time.process_time()
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    seconds, processor = time.perf_counter() - began, time.process_time() - processor
    total = sum(counts)
    print(json.dumps({"rate": total / seconds, "cpu_ms": 1000 * processor / total, "answers": total}))


if __name__ == "__main__":
    main()
