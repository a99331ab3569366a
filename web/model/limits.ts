/** Larger images are refused by their header, as in Python. */
export const DEFAULT_MAX_PIXELS = 100_000_000;
