"""Experiments with whole networks: gradients by depth, degradation, a race, the first layer. Imports torch.

Each file measures one thing and yields frozen records; it draws them, and says in two sentences what they show. The
sentences follow from the records, whatever these turn out to be.
"""
