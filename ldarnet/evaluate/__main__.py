"""`python -m ldarnet.evaluate`, which is what torchrun starts: each process takes a share of the tasks and models."""

import typer

from ldarnet.evaluate_command import evaluate_command

if __name__ == "__main__":
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(evaluate_command)
    app()
