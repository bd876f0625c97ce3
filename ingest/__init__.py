"""Generate, load, land and flatten the four sources."""
