"""Estimators as scikit-learn knows them: images and labels in, a classifier out, by the code of ``svertka train``."""
