"""The command line `python -m client classify|similar|same-product|get-model|health|load-test`."""

import sys

import tyro
from rich.console import Console

from aisle_client.errors import ClientError
from catalog.formats.standard_input import catalog_from_standard_input
from client.commands import ClassifyCommand, GetModelCommand, classify, get_model
from client.health import HealthCommand, health
from client.load.command import load_test
from client.load.settings import LoadTestCommand
from client.same_product import SameProductCommand, same_product
from client.similar import SimilarCommand, similar
from model.command_arguments import expand_home
from model.errors import AisleError
from model.machine.console import wide_console
from model.machine.text_encoding import use_unicode


def main() -> int:
    """Run one command and return the exit code: 0 for success, 1 for an error. Wrong usage exits with 2."""
    console = wide_console()
    try:
        with catalog_from_standard_input(expand_home(sys.argv[1:]), sys.stdin.buffer) as arguments:
            _run(console, arguments)
    except (AisleError, ClientError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _run(console: Console, arguments: list[str]) -> None:
    command: ClassifyCommand | SimilarCommand | SameProductCommand | GetModelCommand | HealthCommand | LoadTestCommand
    command = tyro.extras.subcommand_cli_from_dict(
        {
            "classify": ClassifyCommand,
            "similar": SimilarCommand,
            "same-product": SameProductCommand,
            "get-model": GetModelCommand,
            "health": HealthCommand,
            "load-test": LoadTestCommand,
        },
        prog="python -m client",
        description="Call an Aisle server.",
        args=arguments,
    )
    match command:
        case ClassifyCommand():
            classify(command, console)
        case SimilarCommand():
            similar(command, console)
        case SameProductCommand():
            same_product(command, console)
        case GetModelCommand():
            get_model(command, console)
        case HealthCommand():
            health(command, console)
        case LoadTestCommand():
            load_test(command, console)


if __name__ == "__main__":
    use_unicode()
    sys.exit(main())
