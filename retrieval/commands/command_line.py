"""The commands of `python -m retrieval`."""

from collections.abc import Sequence

from retrieval.commands.benchmark_command import BenchmarkCommand, run_benchmark
from retrieval.commands.build_command import BuildCommand, run_build
from retrieval.commands.duplicates_command import DuplicatesCommand, run_duplicates
from retrieval.commands.match_command import MatchCommand, run_match
from retrieval.commands.pairs_command import PairsCommand, run_pairs
from retrieval.commands.query_command import QueryCommand, run_query
from retrieval.commands.study_command import StudyCommand, run_studies
from retrieval.commands.train_command import TrainCommand, run_train
from retrieval.commands.train_matcher_command import TrainMatcherCommand, run_train_matcher
from retrieval.commands.update_command import UpdateCommand, run_update
from training.commands.program import Commands, run_program

_COMMANDS: Commands = {
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
    """Run one command and return the exit code; see `run_program`."""
    return run_program("python -m retrieval", _COMMANDS, arguments)
