"""Cuts work into blocks that fit into the processor's cache."""

from collections.abc import Iterator


def blocks(images: int, rows: int, row_bytes: int, block_bytes: int) -> Iterator[tuple[slice, slice]]:
    """Cuts ``images`` × ``rows`` into blocks of about ``block_bytes``: several whole images, or rows of one image.

    ``row_bytes`` are those that one row of one image needs; one row is the least. Yields slices of images and rows.
    """
    whole = block_bytes // (rows * row_bytes)
    if whole >= 1:
        for start in range(0, images, whole):
            yield slice(start, min(start + whole, images)), slice(0, rows)
        return
    count = -(-rows // max(1, block_bytes // row_bytes))  # equal blocks: no small one at the end
    step = -(-rows // count)
    for image in range(images):
        for start in range(0, rows, step):
            yield slice(image, image + 1), slice(start, min(start + step, rows))
