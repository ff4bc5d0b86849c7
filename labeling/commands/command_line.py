"""The commands of `python -m labeling`."""

import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any

import tyro
from rich.console import Console

from labeling.commands.apply_command import ApplyCommand, run_apply
from labeling.commands.confusions_command import ConfusionsCommand, run_confusions
from labeling.commands.drift_command import DriftCommand, run_drift
from labeling.commands.issues_command import IssuesCommand, run_issues
from labeling.commands.merge_command import MergeCommand, run_merge
from model.errors import AisleError

_COMMANDS: dict[str, tuple[type, Callable[[Any], object]]] = {
    "issues": (IssuesCommand, run_issues),
    "apply": (ApplyCommand, run_apply),
    "confusions": (ConfusionsCommand, run_confusions),
    "merge": (MergeCommand, run_merge),
    "drift": (DriftCommand, run_drift),
}


def main(arguments: Sequence[str]) -> int:
    """Run one command and return the exit code: 0 for success, 1 for an error, 2 for wrong usage, 130 on Ctrl-C."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname).1s %(name)s: %(message)s")
    logging.getLogger("aisle").setLevel(logging.INFO)
    name = arguments[0] if arguments else ""
    if name not in _COMMANDS:
        print(f"usage: python -m labeling {{{','.join(_COMMANDS)}}} ... (--help lists the flags)", file=sys.stderr)
        return 0 if name in ("-h", "--help") else 2
    form, run = _COMMANDS[name]
    try:
        command: Any = tyro.cli(form, prog=f"python -m labeling {name}", args=list(arguments[1:]))
        Console().print(run(command), highlight=False, soft_wrap=True)
    except AisleError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error}; check the path, its permissions and the free space", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; what is finished is kept, the same command goes on with it", file=sys.stderr)
        return 130
    return 0
