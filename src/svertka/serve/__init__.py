"""HTTP API over bundles, and the page of a model; no torch."""
