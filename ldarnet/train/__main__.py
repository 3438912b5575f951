"""`python -m ldarnet.train`, which is what torchrun starts."""

import os
import sys

import typer

from ldarnet.train.command import expand_lists, train_command

if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(train_command)
    sys.argv[1:] = expand_lists(sys.argv[1:])
    app()
