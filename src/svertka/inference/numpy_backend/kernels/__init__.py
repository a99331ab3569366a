"""Kernels: the steps that cost time. Each file is one way to compute one kind of step."""
