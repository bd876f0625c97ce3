"""A Sail server in a process of its own, for as long as its parent holds its standard input.

Sail keeps the object store's keys of the first lake that its process touches, and reads its
catalogs once: a process of its own serves one lake, and ends with it. Prints its port.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Serve Spark Connect on a free loopback port until standard input ends."""
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    _, port = server.listening_address
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    # Ends when the parent closes it, and when the parent dies. At once: what a dead refresh had
    # begun must not be committed while the next one is at work.
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
