"""Run the command line as `python -m maskcls`."""

from maskcls.cli import main

if __name__ == "__main__":
    main()
