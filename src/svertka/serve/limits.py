"""What one request, one connection and all of them together may take."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds."""

    body_bytes: int = 10_000_000
    """Of one request, counted while it comes."""
    body_seconds: float = 10.0
    """From a request's head to the end of its body."""
    pixels: int = 25_000_000
    """Of an image, by its header."""
    decoding_bytes: int = 160_000_000
    """Of all images that are decoded at a time: 25 megapixels of a photograph take 100 MB, see-through ones 200."""
    images: int = 16
    """Of one request."""
    in_flight: int = 16
    """Requests that are computed or wait for it."""
    large_in_flight: int = 4
    """Large images that are computed, one at a time, or wait for it."""
    connections: int = 128
    """Open at a time; another one takes the place of the longest idle."""
    idle_seconds: float = 5.0
    """Of a connection without a request, or with one whose head isn't complete."""
    stalled_seconds: float = 30.0
    """Of a client that doesn't read its answer."""
    head_bytes: int = 16_384
    """Of a request line with all headers."""
    grace_seconds: float = 1.0
    """From SIGTERM, which makes ``/readyz`` say 503, to the moment from which nothing new is accepted."""
    linger_seconds: float = 2.0
    """For the rest of a body that nobody reads: a connection reset at once loses its answer (RFC 9112, 9.6)."""

    @property
    def held_bytes(self) -> int:
        """Of all bodies that are held at a time: 16 photographs of a phone, or two of the largest bodies."""
        return max(48_000_000, 2 * self.body_bytes)

    @property
    def large_pixels(self) -> int:
        """Above which an image is large: it takes so long to decode that small ones must not wait for it."""
        return self.pixels // 2

    @property
    def form_pixels(self) -> int:
        """Of all images of one request."""
        return 4 * self.pixels
