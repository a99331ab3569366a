"""A typeface for pictures, in Latin and Cyrillic: DejaVu Sans, cut down to the letters and signs that are needed.

Pillow's own has neither Cyrillic nor ×. The licence lies beside it.
"""
