"""Run the command line, as `maskcls` or `python -m maskcls`."""

from __future__ import annotations

import os


def command_line() -> None:
    """Run the command line; a signal while it is still loaded ends it with one line and the code it has later on."""
    try:
        import signal

        # What is being imported is in no state to raise: extension modules turn a KeyboardInterrupt into other errors.
        usual = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for number, handler in usual.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, _end)
        from maskcls.cli import main

        for number, handler in usual.items():
            signal.signal(number, handler)
        main()
    except KeyboardInterrupt:
        _end(2)


def _end(number: int, _frame: object = None) -> None:
    """End the process as after this signal; nothing has begun that would have to be cleared up."""
    try:
        os.write(2, b"interrupted; nothing has begun\n")
    finally:
        os._exit(128 + number)


if __name__ == "__main__":
    command_line()
