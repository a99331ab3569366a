"""Features of a frozen network: extracted once and kept, with linear classifiers on them and distances between them."""
