"""TensorBoard logs of the trials: curves as scalars, and a summary in the HParams tab.

Built with TensorBoard's messages alone, because its writers load TensorFlow, which takes seconds and is not needed.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_TENSOR, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DT_FLOAT
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams import plugin_data_pb2 as plugin
from tensorboard.summary.writer.record_writer import RecordWriter

from training.tune.scheduling.trial import SearchTrial

#: As in tensorboard.plugins.hparams.metadata.
_PLUGIN = "hparams"
_EXPERIMENT, _START, _END = (f"_hparams_/{name}" for name in ("experiment", "session_start_info", "session_end_info"))
_STATUS = {
    "completed": api_pb2.STATUS_SUCCESS,
    "stopped": api_pb2.STATUS_SUCCESS,
    "failed": api_pb2.STATUS_FAILURE,
    "running": api_pb2.STATUS_RUNNING,
    "queued": api_pb2.STATUS_UNKNOWN,
}


def write_hparams(folder: Path, trials: Sequence[SearchTrial], objective: str) -> None:
    """Write a run per trial; existing content of the folder is replaced.

    Args:
        objective: name of the score.
    """
    shutil.rmtree(folder, ignore_errors=True)
    writer = _Run(folder)
    writer.add(_experiment(trials, objective))
    writer.close()
    for trial in trials:
        if trial.attempts:
            _write_trial(folder / f"trial-{trial.trial_id}", trial, objective)


class _Run:
    """Writer of an events file; TensorBoard finds it by "tfevents" in its name."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self._writer = RecordWriter((folder / "events.out.tfevents.0.tune").open("wb"))
        self._write(Event(file_version="brain.Event:2"))

    def add(self, summary: Summary, at: float = 0.0, step: int = 0) -> None:
        self._write(Event(wall_time=at, step=step, summary=summary))

    def close(self) -> None:
        self._writer.close()

    def _write(self, event: Event) -> None:
        self._writer.write(event.SerializeToString())


def _write_trial(folder: Path, trial: SearchTrial, objective: str) -> None:
    run = _Run(folder)
    began_at = trial.attempts[-1].started_at
    ended_at = trial.attempts[-1].ended_at or began_at
    start = plugin.SessionStartInfo(group_name=trial.trial_id, start_time_secs=began_at)
    for name, value in trial.hyperparameters.items():
        if isinstance(value, bool):
            start.hparams[name].bool_value = value
        elif isinstance(value, int | float):
            start.hparams[name].number_value = value
        else:
            start.hparams[name].string_value = value
    run.add(_session(_START, plugin.HParamsPluginData(session_start_info=start)), began_at)
    for row in trial.history:
        for name, value in row.items():
            if name not in ("epoch", "seconds"):
                run.add(_scalar(name, value), began_at + row["seconds"], int(row["epoch"]))
    if trial.score is not None:
        run.add(_scalar(f"final/{objective}", trial.score), ended_at, len(trial.history))
    end = plugin.SessionEndInfo(status=_STATUS[trial.status], end_time_secs=ended_at)
    run.add(_session(_END, plugin.HParamsPluginData(session_end_info=end)), ended_at)
    run.close()


def _experiment(trials: Sequence[SearchTrial], objective: str) -> Summary:
    """Build the message that declares the hyperparameters and metrics."""
    experiment = api_pb2.Experiment(description="training tune")
    seen: dict[str, object] = {}
    for trial in trials:
        seen.update(trial.hyperparameters)
    for name, value in seen.items():
        is_text = isinstance(value, str)
        kind = api_pb2.DATA_TYPE_STRING if is_text else api_pb2.DATA_TYPE_FLOAT64
        experiment.hparam_infos.add(name=name, type=api_pb2.DATA_TYPE_BOOL if isinstance(value, bool) else kind)
    experiment.metric_infos.add(name=api_pb2.MetricName(tag=f"final/{objective}"), display_name=objective)
    return _session(_EXPERIMENT, plugin.HParamsPluginData(experiment=experiment))


def _session(tag: str, data: plugin.HParamsPluginData) -> Summary:
    about = SummaryMetadata(
        plugin_data=SummaryMetadata.PluginData(plugin_name=_PLUGIN, content=data.SerializeToString()),
        data_class=DATA_CLASS_TENSOR,
    )
    nothing = TensorProto(dtype=DT_FLOAT, float_val=[0.0])  # the tab reads the metadata
    return Summary(value=[Summary.Value(tag=tag, metadata=about, tensor=nothing)])


def _scalar(tag: str, value: float) -> Summary:
    return Summary(value=[Summary.Value(tag=tag, simple_value=value)])
