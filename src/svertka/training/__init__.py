"""Training: a strategy as phases, the one loop, its checkpoints, its time budget, and the trained classifiers."""
