"""The command line and the batch path: the only package that imports the stages."""
