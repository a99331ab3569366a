"""Seeing what a trained classifier has learnt, and doubting it.

================  ================================================================================================
module            what it holds
================  ================================================================================================
``anatomy``       a bundle's graph taken apart: stages, head, first filters
``field``         receptive fields, from the arithmetic of the layers
``network``       the graph, open: features, maps, probabilities
``cam``           class activation maps (Grad-CAM), exact, without a backward pass
``occlusion``     what changes where a square is covered
``activations``   the most active channels for one image
``patches``       what channels respond to most
``feature_map``   all images on a plane
``sanity``        do explanations change when the weights are shuffled?
``shortcuts``     can the border, the size or the file tell the classes apart?
``insight``       all of this for a run's report
================  ================================================================================================

Needs ONNX Runtime and NumPy; scikit-learn for the map and the shortcuts; torch for nothing.
"""
