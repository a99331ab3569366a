"""Convolution from nothing: NumPy alone."""
