"""Convolutional networks from nothing: NumPy arrays in, NumPy arrays out, small enough to read in an evening.

The core has 2,528 lines. Read it in this order:

1. ``loops``: convolution and pooling as loops, the way they are taught;
2. ``geometry``: how a kernel moves over a plane, output sizes, receptive fields;
3. ``convolution``, ``pooling``, ``dense``, ``normalisation``, ``activations``: every operation and its gradients;
4. ``layers``, ``network``, ``optim``, ``training``, ``lenet``: a network that learns;
5. ``filters``: named kernels on photographs.

``arrays``, ``padding`` and ``augment`` help these. Whoever wants speed as well reads on in ``fast/``, which has 1,021
more lines: ``paths`` chooses how a convolution is computed, among ``channels_last``, ``batch_last``, ``winograd`` and
``depthwise``; ``threads`` and ``blas`` share the work, ``cache_blocks`` cuts it, and ``sums`` keeps long sums exact.

Arrays have the shape ``[N, C, H, W]`` everywhere. Their memory may be laid out otherwise (channels or batch innermost,
as in torch's ``channels_last``): an operation hands on the layout in which it is fast, so the next one needs no copy.
"""
