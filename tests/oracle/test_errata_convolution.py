"""Chapter 3.1 of the course, where its figures contradict arithmetic: arithmetic wins. Row by row of the errata."""

import numpy as np
import pytest

from svertka.engine import convolution, filters, loops, pooling
from svertka.engine.geometry import Window, output_size

CHECKERBOARD = np.array([[(row + column + 1) % 2 for column in range(5)] for row in range(5)], float)
EDGE = np.array([[1.0, 0, -1]] * 3)
MAP = np.array([[1.0, 3, 2, 4], [5, 6, 7, 8], [1, 2, 3, 4], [5, 6, 7, 8]])[None, None]


@pytest.mark.parametrize("operation", [filters.correlate, filters.convolve])
def test_the_worked_convolution_is_all_zeros(operation):
    np.testing.assert_array_equal(operation(CHECKERBOARD, EDGE, padding="valid"), np.zeros((3, 3)))


def test_the_course_code_gives_zeros_too():
    np.testing.assert_array_equal(loops.conv2d(CHECKERBOARD[None, None], EDGE[None, None])[0, 0], np.zeros((3, 3)))


def test_the_formula_flips_the_kernel_and_the_code_does_not():
    plane = np.zeros((5, 5))
    plane[2, 2] = 1
    kernel = np.arange(9.0).reshape(3, 3)
    np.testing.assert_array_equal(filters.convolve(plane, kernel, padding="valid"), kernel)
    np.testing.assert_array_equal(filters.correlate(plane, kernel, padding="valid"), kernel[::-1, ::-1])
    np.testing.assert_array_equal(convolution.conv2d(plane[None, None], kernel[None, None])[0, 0], kernel[::-1, ::-1])


@pytest.mark.parametrize("pool", [pooling.max_pool2d, loops.max_pool2d])
def test_max_pooling(pool):
    np.testing.assert_array_equal(pool(MAP, 2, 2)[0, 0], [[6, 8], [6, 8]])


@pytest.mark.parametrize("pool", [pooling.avg_pool2d, loops.avg_pool2d])
def test_average_pooling(pool):
    np.testing.assert_array_equal(pool(MAP, 2, 2)[0, 0], [[3.75, 5.25], [3.5, 5.5]])


def test_the_first_homework():
    assert output_size(224, kernel=5, stride=1, padding=2) == 224
    assert output_size(128, kernel=3, stride=2, padding=0) == 63
    assert Window.of(3, stride=2).output_size((128, 128)) == (63, 63)
