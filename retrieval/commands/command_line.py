"""The commands of `python -m retrieval`."""

import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any

import tyro

from model.errors import AisleError
from retrieval.commands.benchmark_command import BenchmarkCommand, run_benchmark
from retrieval.commands.build_command import BuildCommand, run_build
from retrieval.commands.console import wide_console
from retrieval.commands.duplicates_command import DuplicatesCommand, run_duplicates
from retrieval.commands.match_command import MatchCommand, run_match
from retrieval.commands.pairs_command import PairsCommand, run_pairs
from retrieval.commands.query_command import QueryCommand, run_query
from retrieval.commands.study_command import StudyCommand, run_studies
from retrieval.commands.train_command import TrainCommand, run_train
from retrieval.commands.train_matcher_command import TrainMatcherCommand, run_train_matcher
from retrieval.commands.update_command import UpdateCommand, run_update

_COMMANDS: dict[str, tuple[type, Callable[[Any], object]]] = {
    "build": (BuildCommand, run_build),
    "update": (UpdateCommand, run_update),
    "query": (QueryCommand, lambda command: run_query(command)[1]),
    "pairs": (PairsCommand, run_pairs),
    "train": (TrainCommand, run_train),
    "benchmark": (BenchmarkCommand, run_benchmark),
    "study": (StudyCommand, run_studies),
    "train-matcher": (TrainMatcherCommand, run_train_matcher),
    "match": (MatchCommand, run_match),
    "duplicates": (DuplicatesCommand, run_duplicates),
}


def main(arguments: Sequence[str]) -> int:
    """Run one command and return the exit code: 0 for success, 1 for an error, 2 for wrong usage, 130 on Ctrl-C."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname).1s %(name)s: %(message)s")
    logging.getLogger("aisle").setLevel(logging.INFO)
    name = arguments[0] if arguments else ""
    if name not in _COMMANDS:
        print(f"usage: python -m retrieval {{{','.join(_COMMANDS)}}} ... (--help lists the flags)", file=sys.stderr)
        return 0 if name in ("-h", "--help") else 2
    form, run = _COMMANDS[name]
    try:
        command: Any = tyro.cli(form, prog=f"python -m retrieval {name}", args=list(arguments[1:]))
        wide_console().print(run(command), highlight=False, soft_wrap=True)
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
