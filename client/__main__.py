"""`python -m client classify|get-model|health`."""

import sys

import tyro
from rich.console import Console

from client.commands import ClassifyCommand, GetModelCommand, classify, get_model
from client.health import HealthCommand, health
from model.errors import AisleError


def main() -> int:
    """Run one command; returns the exit code: 0 done, 1 stopped with a sentence. Wrong usage exits with 2."""
    console = Console()
    command: ClassifyCommand | GetModelCommand | HealthCommand = tyro.extras.subcommand_cli_from_dict(
        {"classify": ClassifyCommand, "get-model": GetModelCommand, "health": HealthCommand},
        prog="python -m client",
        description="Ask an Aisle server.",
    )
    try:
        if isinstance(command, ClassifyCommand):
            classify(command, console)
        elif isinstance(command, HealthCommand):
            health(command, console)
        else:
            get_model(command, console)
    except AisleError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
