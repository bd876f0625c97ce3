"""Exact answers with citations over the published version."""
