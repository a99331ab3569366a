"""The bundle: a trained classifier as a folder that predicts without torch."""
