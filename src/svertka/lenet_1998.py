"""Two tables of LeNet-5 as published, which the NumPy engine and the torch architecture share.

Source: LeCun, Bottou, Bengio, Haffner, "Gradient-Based Learning Applied to Document Recognition", Proceedings of the
IEEE 86(11), 1998, section II.B, table I and figure 3.
"""

C3_TABLE = tuple(
    tuple(map(int, row))
    for row in "012 123 234 345 045 015 0123 1234 2345 0345 0145 0125 0134 1245 0235 012345".split()
)
"""Which of the six maps of S2 each of the sixteen maps of C3 sees (table I): 60 connections instead of 96."""


def digit_codes() -> list[list[float]]:
    """The targets of the radial output: each digit drawn on 7 × 12 pixels, +1 for ink and -1 beside it; [10, 84].

    The drawings are ours, in the spirit of the paper's figure 3: alike digits get alike codes.
    """
    rows = [line.split() for line in _DRAWINGS.strip().splitlines()]
    return [[1.0 if pixel == "#" else -1.0 for row in rows for pixel in row[digit]] for digit in range(10)]


_DRAWINGS = """
....... ....... ....... ....... ....... ....... ....... ....... ....... .......
..###.. ...##.. ..###.. #######  #....## ####### ..####. ####### ..###.. ..####.
.##.##. ..###.. .#...#. ....##. #....## #...... .##.... ##...## .##.##. .##..##
.#...#. .####.. ##...## ...##.. #....## #...... ##..... ....##. .#...#. ##...##
##...## ...##.. .....## ..###.. #....## ###.... #...... ....##. ##...## ##...##
##...## ...##.. ....##. ....##. ##...## ..####. #.####. ...###. .##.##. .#..###
##...## ...##.. ...##.. .....## .###### .....## ##...## ..####. ..###.. ..####.
##...## ...##.. ..##... .....## .....## .....## ##...## ...##.. .##.##. .....##
.#...#. ...##.. .##.... .....## .....## .....## ##...## ..##... ##...## .....##
.##.##. ...##.. ##..... ##...## .....## ##...## .#...#. ..##... ##...## ....##.
..###.. .####.. ####### .#####. .....## .#####. ..###.. ..##... .#####. ..###..
....... ....... ....... ....... ....... ....... ....... ....... ....... .......
"""
