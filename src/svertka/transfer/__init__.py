"""Learning on a frozen or thawed backbone: features, probe, strategies, the one training loop, checkpoints."""
