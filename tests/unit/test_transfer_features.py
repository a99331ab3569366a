"""The feature cache: what is asked for comes back, whoever else writes beside."""

import threading

import numpy as np
import pytest

from svertka.data.loader import ImageSource
from svertka.errors import DataError
from svertka.features.feature_table import extract


class Store:
    def read(self, files_and_hashes, max_pixels):
        return np.stack([np.full((2, 2, 3), int(name), np.uint8) for _, name in files_and_hashes])


class Brightness:
    """One feature: the brightness, which is the image's name."""

    key, widths, batch_size = "brightness", (1,), 4

    def __init__(self, before=lambda: None):
        self.before = before

    def __call__(self, images_NHWC):
        self.before()
        return images_NHWC[:, 0, 0, :1].astype(np.float32)


def source_of(numbers):
    names = [str(number) for number in numbers]
    return ImageSource(Store(), names, names, np.zeros(len(names), np.int64))


def test_two_runs_at_once_keep_their_own_rows(tmp_path):
    """Both miss image 0 first, and write when both have computed."""
    barrier = threading.Barrier(2, timeout=20)
    wanted = {"a": [0, 1, 2, 3, 4], "b": [0, 5, 6, 7, 8]}
    tables = {}

    def work(name):
        tables[name] = extract(Brightness(barrier.wait), source_of(wanted[name]), tmp_path)

    threads = [threading.Thread(target=work, args=(name,)) for name in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, numbers in wanted.items():
        assert tables[name].read()[:, 0].tolist() == numbers


def test_what_is_known_is_not_computed_again(tmp_path):
    calls = []
    extract(Brightness(lambda: calls.append(1)), source_of([3, 1, 3]), tmp_path)
    before = len(calls)
    table = extract(Brightness(lambda: calls.append(1)), source_of([1, 3]), tmp_path)
    assert table.read()[:, 0].tolist() == [1, 3]
    assert len(calls) == before


def test_a_damaged_file_of_the_cache_is_taken_away_and_computed_anew(tmp_path):
    table = extract(Brightness(), source_of(range(200)), tmp_path)
    (shard,) = tmp_path.rglob("*.npz")
    content = bytearray(shard.read_bytes())
    middle = content.index(b"x_ND.npy") + 300
    content[middle] ^= 0xFF
    shard.write_bytes(content)
    with pytest.raises(DataError, match=r"were damaged .*; the file was removed\. Run the same command again"):
        table.read()
    assert extract(Brightness(), source_of(range(200)), tmp_path).read()[:, 0].tolist() == list(range(200))
