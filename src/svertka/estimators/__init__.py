"""Estimators for scikit-learn, over the code behind ``svertka train``."""
