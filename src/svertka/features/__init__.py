"""Features of a frozen network, linear classifiers on them, and distances between them."""
