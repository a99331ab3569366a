"""``svertka lab``: experiments with convolution itself, and with whole networks."""
