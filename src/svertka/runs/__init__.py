"""A run on disk: its folder, its log, and the table of its phases."""
