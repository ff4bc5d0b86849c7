"""A program of several commands, as `python -m training COMMAND`: its flags, exit codes and errors."""

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tyro

from catalog.formats.standard_input import catalog_from_standard_input
from model.command_arguments import expand_home
from model.errors import AisleError
from model.machine.console import wide_console
from model.machine.whole_file import named_errors

#: By name the dataclass of a command's flags, and the function that runs it and returns something to print, or None.
Commands = Mapping[str, tuple[type, Callable[[Any], object]]]
#: From the dataclass, the command line so far and the flags to the command.
Parse = Callable[[type, str, list[str]], Any]


def parse_flags(form: type, program: str, flags: list[str]) -> Any:
    """Parse the flags of a command.

    Args:
        form: dataclass of the flags.
        program: the command line before the flags.
    """
    return tyro.cli(form, prog=program, args=flags)


def run_program(
    program: str,
    commands: Commands,
    arguments: Sequence[str],
    parse: Parse = parse_flags,
    resume_hints: Mapping[str, str] | None = None,
) -> int:
    """Run one command and return the exit code: 0 for success, 1 for an error, 2 for wrong usage, 130 on Ctrl-C.

    Args:
        program: such as "python -m training".
        resume_hints: by command, how to go on after Ctrl-C, where that is not by the same command.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname).1s %(name)s: %(message)s")
    logging.getLogger("aisle").setLevel(logging.INFO)
    name = arguments[0] if arguments else ""
    if name not in commands:
        print(f"usage: {program} {{{','.join(commands)}}} ... (--help lists the flags)", file=sys.stderr)
        return 0 if name in ("-h", "--help") else 2
    form, run = commands[name]
    try:
        with catalog_from_standard_input(expand_home(arguments[1:]), sys.stdin.buffer) as flags:
            said = run(parse(form, f"{program} {name}", flags))
        with named_errors(Path("standard output")):
            if said is not None:
                wide_console().print(said, highlight=False, soft_wrap=True, markup=False, emoji=False)
            sys.stdout.flush()
    except AisleError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error}; check the path, its permissions and the free space", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        hint = (resume_hints or {}).get(name, "run the same command again to go on")
        print(f"interrupted; finished work is kept, {hint}", file=sys.stderr)
        return 130
    return 0
