"""What lets a process run for weeks: networks without copies of their weights, memory that is shared and given back."""

import subprocess
import sys

import numpy as np
import pytest
from serving import noise

from svertka.data.decode import load_content
from svertka.explain.cam import evidence
from svertka.explain.opened_bundle import open_network


def test_a_sealed_network_shows_the_same(conv_bundle):
    network = open_network(conv_bundle)
    sealed = network.sealed()
    image_SSC, _ = load_content(noise(), network.preprocess)
    expected = evidence(network, network.look(image_SSC), 1)
    for _ in range(2):  # its memory is given back in between
        assert np.array_equal(evidence(sealed, sealed.look(image_SSC), 1), expected)
    assert (sealed.model, dict(sealed.anatomy.constants)) == (b"", {})
    assert sealed.head.weight_KD.base is None and sealed.head.weight_KD is not network.head.weight_KD


@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of a process as Linux tells it")
def test_memory_is_shared_and_given_back(conv_bundle):
    code = f"""
import threading
from pathlib import Path
import numpy as np
from svertka.inference.onnxruntime_session import share_memory
from svertka.serve.served_model import open_model
from svertka.util import runtime

def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS")) / 1024

assert runtime.give_back_memory()
share_memory()
share_memory()  # once is enough, twice is no error
model = open_model("a", Path({str(conv_bundle)!r}))
before = resident()
blocks = [np.ones(200_000) for _ in range(60)] + [bytearray(100_000) for _ in range(500)]
last = bytearray(1000)  # holds on to the top of the heap
held = resident()
del blocks
runtime.trim_memory()
after = resident()
assert held - before > 100, (before, held)
assert after - before < 20, (before, after)
assert model.network is not None
model.network.look(np.zeros((32, 32, 3), np.uint8))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
