"""Handing a model over: from a trained network to a folder that predicts without torch.

==============  =================================================================  ==========
module          what it does                                                       needs
==============  =================================================================  ==========
``onnx_writer``  a torch backbone becomes an ONNX graph: pixels in, features out   torch, onnx
``engine``       the frozen backbone's graph, made once and kept in the cache       onnxruntime
``graph``        appends the classifier's head to that graph                       onnx
``bundle``       writes, checks and loads ``bundle/``                              onnx (write)
``protobuf``     what a ``model.onnx`` asks for, read without the onnx package     nothing
``session``      ONNX Runtime, opened in one way everywhere                         onnxruntime
``predictor``    a bundle and image files become probabilities                     onnxruntime
==============  =================================================================  ==========

Nothing is imported here, so that each caller pays only for the part that it uses.
"""
