"""Estimators that scikit-learn accepts: images and labels in, a classifier out, by the code behind ``svertka train``.

``images`` reads what a program holds (paths or arrays), ``trained`` learns and keeps the result as plain values,
``classifier`` is ``ImageClassifier``, ``medical`` adds what a diagnostic test needs.
"""
