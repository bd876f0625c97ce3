"""One module a source: its contract, its fake data, its flatten function."""
