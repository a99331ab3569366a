"""Explanations of a trained classifier, and tests that cast doubt on it.

Needs ONNX Runtime and NumPy; scikit-learn for the map of all images and the shortcuts; torch for nothing.
"""
