"""Pretrained networks: a name becomes a network cut into stages, with its weights and its preprocessing."""
