"""A forked child has the parent's memory but none of its threads: the engine's threads and locks begin anew there."""

import os
import subprocess
import sys

import numpy as np
import pytest
from onnx import helper

from twin_graphs import model_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks")

IN_A_CHILD = """
import os, sys, threading, warnings
import numpy as np
from svertka.engine.fast import blas
from svertka.inference.numpy_backend import NumpySession

warnings.simplefilter("ignore", DeprecationWarning)  # "multi-threaded, use of fork() may lead to deadlocks": that's it
twin, x = NumpySession.from_onnx(sys.argv[1], threads=2), np.ones((2, 3, 64, 64), np.float32)
expected, threads = twin(x), blas.threads()

{before}
child = os.fork()
if child == 0:
    assert blas.threads() == threads
    assert np.array_equal(twin(x), expected) and np.array_equal(twin(x), expected)
    assert blas.threads() == threads
    sys.exit(7)  # the usual way out, which waits for threads
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
{after}
assert np.array_equal(twin(x), expected)
sys.exit(status)
"""

BUSY = """
holding, done = threading.Event(), threading.Event()
def hold():
    (program,) = twin._programs.values()
    with blas.one_thread(), blas._lock, twin._lock, program._lock:
        holding.set()
        done.wait()
holder = threading.Thread(target=hold)
holder.start()
holding.wait()
"""


def assert_ends_with_7(code, *arguments):
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, env=environment)
    assert done.returncode == 7, done.stderr


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ""),
        (BUSY, "done.set(); holder.join()"),
    ],
    ids=["at rest", "while another thread computes"],
)
def test_a_forked_child_computes_too(tmp_path, before, after):
    weight = np.random.default_rng(0).standard_normal((8, 3, 3, 3), dtype=np.float32)
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])]
    (tmp_path / "m.onnx").write_bytes(model_of(nodes, ["N", 3, "H", "W"], {"w": weight}))
    code = IN_A_CHILD.format(before=before, after=after)
    assert_ends_with_7(code, str(tmp_path / "m.onnx"))


def test_forking_while_blas_is_held_leaves_it_usable():
    code = """
import os, sys, warnings
from svertka.engine.fast import blas
warnings.simplefilter("ignore", DeprecationWarning)
threads = blas.threads()
with blas.one_thread():
    child = os.fork()
if child == 0:
    assert blas.threads() == threads
    with blas.one_thread():
        assert blas.threads() == 1
    assert blas.threads() == threads
    sys.exit(7)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert_ends_with_7(code)
