"""What every package may use: settings of the process, files written whole, records from JSON, the version."""
