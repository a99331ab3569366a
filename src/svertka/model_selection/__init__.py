"""Model selection: advice from the data, cross-validated comparison, and the choice on validation."""
