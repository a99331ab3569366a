"""Seeing what a trained classifier has learnt, and doubting it.

Needs ONNX Runtime and NumPy; scikit-learn for the map of all images and the shortcuts; torch for nothing.
"""
