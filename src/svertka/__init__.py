"""svertka: a folder of images in; a tested, explained, portable classifier out."""

__version__ = "0.1.0"
