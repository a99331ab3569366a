"""Fast paths of convolution, one file each, and what they share."""
