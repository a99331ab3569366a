"""Reads protocol-buffer messages field by field, without a schema: the encoding of ONNX files.

Wire format: https://protobuf.dev/programming-guides/encoding.
"""

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Field numbers and values of one message: an integer, or the bytes of a number, of text or of another message.

    Raises:
        ValueError: the bytes are no message.
    """
    return ((number, value) for number, _, value in typed_fields(message))


def typed_fields(message: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """The same with each field's wire type (``VARINT``, ``FIXED64``, ``BYTES`` or ``FIXED32``) in the middle.

    Raises:
        ValueError: the bytes are no message.
    """
    at, end = 0, len(message)
    while at < end:
        key, at = (message[at], at + 1) if message[at] < 0x80 else varint(message, at)
        number, wire_type = key >> 3, key & 7
        if not 1 <= number < 1 << 29:
            raise ValueError(f"a field has number {number}")
        if wire_type == VARINT:
            integer, at = varint(message, at)
            yield number, wire_type, integer
            continue
        if wire_type == BYTES:
            size, at = (message[at], at + 1) if at < end and message[at] < 0x80 else varint(message, at)
        elif wire_type in (FIXED32, FIXED64):
            size = 4 if wire_type == FIXED32 else 8
        else:
            raise ValueError(f"wire type {wire_type} at byte {at}")
        if at + size > end:
            raise ValueError(f"a field of {size} bytes at byte {at} reaches past the end")
        yield number, wire_type, message[at : at + size]
        at += size


def varint(message: memoryview, at: int) -> tuple[int, int]:
    """An integer of seven bits a byte, lowest first, and where the next field begins."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise ValueError("it ends within a field")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 64:
                raise ValueError(f"an integer at byte {at} is larger than 64 bits hold")
            return value, at
    raise ValueError(f"an integer at byte {at} is longer than ten bytes")
