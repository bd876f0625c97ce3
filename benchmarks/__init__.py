"""Every figure that the project claims, runnable: ``make bench``."""
