"""Which strategy, which network: advice from the data, comparison on the same folds, and the choice on validation."""
