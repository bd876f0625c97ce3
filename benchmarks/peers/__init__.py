"""The same task as most people would write it: raw files to Iceberg over S3, one script an engine.

Each is called as ``script.py FOLDER NAMESPACE`` and finds the lake in its environment: ``LAKE_S3``,
``LAKE_CATALOG`` and AWS's two variables for the keys. They give the types they expect and use
what their engine offers for speed; they check nothing, and keep no account of what they drop.
"""
