"""Run the command line, as `maskcls` or `python -m maskcls`."""

from __future__ import annotations

import os


def command_line() -> None:
    """Run the command line; Ctrl-C while it is still loaded ends it as later on, without a traceback."""
    try:
        from maskcls.cli import main

        main()
    except KeyboardInterrupt:
        os._exit(130)  # what was being imported is in no state to be cleared up


if __name__ == "__main__":
    command_line()
