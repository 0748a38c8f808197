"""How a command ends when it cannot do its work: one sentence and exit code 1."""

import sys
from typing import NoReturn

import click


def refuse(problem: object) -> NoReturn:
    """Says on stderr what is wrong, and ends the command with exit code 1."""
    click.echo(f"bailee: {explain(problem)}", err=True)
    sys.exit(1)


def explain(problem: object) -> str:
    """Returns the problem's sentence and what it knows beside it."""
    from gateway.errors import FieldError, GatewayError

    if isinstance(problem, OSError) and problem.filename is not None:
        return f"{problem.filename}: {problem.strerror}"
    if not isinstance(problem, GatewayError):
        return str(problem)
    details = [f"{name}: {text}" for name, text in problem.metadata.items()]
    if isinstance(problem, FieldError):
        details.insert(0, f"{problem.field} {problem.description}")
    return f"{problem} ({'; '.join(details)})" if details else str(problem)
