"""From files to labelled pixels: scan a folder or table, split it, prepare its images.

``scan`` → ``Catalog``, ``make_split`` → ``Split``, ``load`` → the network's uint8 square. Nothing here imports torch.
"""
