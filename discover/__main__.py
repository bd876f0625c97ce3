"""The same command for programs that start a file: ``spark-submit …/discover/__main__.py``."""

from discover.cli import main

main()
