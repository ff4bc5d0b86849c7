"""The commands of `python -m labeling`."""

from collections.abc import Sequence

from labeling.commands.apply_command import ApplyCommand, run_apply
from labeling.commands.confusions_command import ConfusionsCommand, run_confusions
from labeling.commands.correlations_command import CorrelationsCommand, run_correlations
from labeling.commands.distribution_command import DistributionCommand, run_distribution
from labeling.commands.drift_command import DriftCommand, run_drift
from labeling.commands.issues_command import IssuesCommand, run_issues
from labeling.commands.merge_command import MergeCommand, run_merge
from labeling.commands.months_command import MonthsCommand, run_months
from labeling.commands.overview_command import OverviewCommand, run_overview
from training.commands.program import Commands, run_program

_COMMANDS: Commands = {
    "issues": (IssuesCommand, run_issues),
    "apply": (ApplyCommand, run_apply),
    "confusions": (ConfusionsCommand, run_confusions),
    "merge": (MergeCommand, run_merge),
    "drift": (DriftCommand, run_drift),
    "months": (MonthsCommand, run_months),
    "overview": (OverviewCommand, run_overview),
    "correlations": (CorrelationsCommand, run_correlations),
    "distribution": (DistributionCommand, run_distribution),
}


def main(arguments: Sequence[str]) -> int:
    """Run one command and return the exit code; see `run_program`."""
    return run_program("python -m labeling", _COMMANDS, arguments)
