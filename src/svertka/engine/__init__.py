"""Convolutional networks from nothing: NumPy arrays in, NumPy arrays out, small enough to read in an evening.

Read it in this order:

1. ``plain``: convolution and pooling as loops, the way they are taught;
2. ``geometry``: how a kernel moves over a plane, output sizes, receptive fields;
3. ``functional``: every operation, forward and backward;
4. ``paths``: how the same convolution becomes fast, by ``channels_last``, ``batch_last``, ``winograd``, ``depthwise``;
5. ``layers``, ``network``, ``optim``, ``training``, ``lenet``: a network that learns;
6. ``filters``: named kernels on photographs;
7. ``twin``: a trained convolutional classifier, read from ONNX and run in NumPy alone.

Arrays have the shape ``[N, C, H, W]`` everywhere. Their memory may be laid out otherwise (channels or batch innermost,
as in torch's ``channels_last``): an operation hands on the layout in which it is fast, so the next one needs no copy.
"""
