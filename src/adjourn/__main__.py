"""Run the command line with `python -m adjourn`."""

from adjourn.cli import main

main()
