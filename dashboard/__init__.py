"""The Superset dashboard and the host page around it."""
