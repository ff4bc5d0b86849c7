"""Follows a folder of models: what appears is loaded beside what is served, then swapped in."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from model.bundle_files import FILES
from model.errors import AisleError, BundleError
from model.machine.throttle import Throttle
from server.models.folder import Fingerprint, FolderScan, VersionFolder, fingerprint, scan_models, version_key
from server.models.loader import ModelLoader
from server.models.registry import ModelRegistry, ServedModel, VersionState

#: Pauses between the steps of loading beside calls, times their length: without, p99 doubled meanwhile.
_REST = 3.0

_log = logging.getLogger("aisle.server")


@dataclass(frozen=True)
class _Opened:
    """The files that a loaded version was read from."""

    fingerprint: Fingerprint
    manifest: bytes


@dataclass(frozen=True)
class _Refused:
    """The files that could not be served, and why."""

    folder: VersionFolder
    error: Exception


class ModelWatcher:
    """Keeps a registry at the newest good versions of a folder of models.

    A folder is looked at only when it stayed the same from one poll to the next, so that a copy
    in progress is neither read nor reported. A version that cannot be served is refused with one
    log line and tried again when its files change. Whatever happens on the disk, what is served
    stays until something better is loaded or the folder of its model is plainly gone.

    Args:
        num_versions: newest good versions of each model to keep loaded.
    """

    def __init__(self, models_dir: Path, loader: ModelLoader, registry: ModelRegistry, num_versions: int):
        self._models_dir = models_dir
        self._loader = loader
        self._registry = registry
        self._num_versions = num_versions
        self._scan = FolderScan()
        self._opened: dict[Path, _Opened] = {}
        self._refused: dict[Path, _Refused] = {}
        self._troubles: dict[Path, str] = {}
        self._stop_asked = threading.Event()
        self._thread: threading.Thread | None = None

    def load(self) -> None:
        """Load what lies there now, before there are any calls.

        Raises:
            AisleError: not one model can be served; why the first cannot.
        """
        self._scan = scan_models(self._models_dir)
        self._follow(self._scan)
        if self._registry.names:
            return
        if self._refused:
            raise next(iter(self._refused.values())).error
        reason = self._scan.unreadable.get(self._models_dir)
        raise BundleError(
            f"{self._models_dir} holds no model{f' ({reason})' if reason else ''}: expected"
            f" {self._models_dir}/<name>/<version>/{FILES.manifest}; move a bundle there, or serve a single one"
            " with --bundle"
        )

    def poll(self) -> None:
        """Look once, and do what follows from what was the same the last time."""
        scan = scan_models(self._models_dir)
        self._follow(scan)
        self._scan = scan

    def start(self, poll_s: float, on_names: Callable[[list[str]], None]) -> None:
        """Poll from now on, on a thread of its own.

        Args:
            on_names: called with the names of all models after one came or went.
        """
        self._thread = threading.Thread(target=self._watch, args=(poll_s, on_names), name="model-watcher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Swap nothing any more; returns when a version that is being loaded was put away."""
        self._stop_asked.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self, poll_s: float, on_names: Callable[[list[str]], None]) -> None:
        names = self._registry.names
        while not self._stop_asked.wait(poll_s):
            try:
                self.poll()
                if self._registry.names != names:
                    names = self._registry.names
                    on_names(names)
            except Exception:  # a fault of ours must not end the watching
                _log.exception("the watch over %s met an error and goes on", self._models_dir)

    def _follow(self, scan: FolderScan) -> None:
        """Bring the registry in line with a scan, as far as it agrees with the one before."""
        if self._models_dir in scan.unreadable or not scan.versions:
            self._report_troubles(scan)
            return
        for name in sorted({*scan.versions, *self._registry.names}):
            if self._models_dir / name not in scan.unreadable and not self._stop_asked.is_set():
                self._follow_model(name, scan)
        on_disk = {folder.path for folders in scan.versions.values() for folder in folders}
        self._refused = {path: refused for path, refused in self._refused.items() if path in on_disk}
        self._report_troubles(scan)
        self._registry.set_refusals(
            [VersionState(r.folder.name, r.folder.version, "refused", str(r.error)) for r in self._refused.values()]
        )

    def _follow_model(self, name: str, scan: FolderScan) -> None:
        found = {folder.version: folder for folder in scan.versions.get(name, [])}
        before = {folder.version: folder for folder in self._scan.versions.get(name, [])}
        loaded = {model.version: model for model in self._registry.loaded(name)}
        wanted: list[ServedModel] = []
        for version in sorted({*found, *loaded}, key=version_key, reverse=True):
            folder, model = found.get(version), loaded.get(version)
            if folder == before.get(version):
                model = self._current(folder, model)
            if model is not None:
                wanted.append(model)
            if len(wanted) == self._num_versions or self._stop_asked.is_set():
                break
        if self._stop_asked.is_set():
            for model in set(wanted).difference(loaded.values()):
                model.pipeline.close()
        elif wanted != list(loaded.values()):
            self._publish(name, wanted, bool(found))

    def _current(self, folder: VersionFolder | None, model: ServedModel | None) -> ServedModel | None:
        """What to serve for a version whose folder has settled.

        Args:
            folder: None when it is gone.
            model: what is loaded of that version.
        """
        if folder is None:
            return None
        refused = self._refused.get(folder.path)
        if refused is not None and refused.folder == folder:
            return model
        if model is not None and self._is_same(folder):
            return model
        return self._open(folder) or model

    def _is_same(self, folder: VersionFolder) -> bool:
        """Whether a loaded version still has the manifest that it was loaded with, or an unreadable one."""
        opened = self._opened[folder.path]
        if folder.fingerprint == opened.fingerprint:
            return True
        try:
            return (folder.path / FILES.manifest).read_bytes() == opened.manifest
        except OSError:
            return True

    def _open(self, folder: VersionFolder) -> ServedModel | None:
        """Load a version; None when it cannot be served, or changed while it was read."""
        try:
            manifest = (folder.path / FILES.manifest).read_bytes()
            throttle = Throttle(0.0 if self._thread is None else _REST, self._stop_asked)
            model = self._loader.open(folder.path, folder.name, throttle)
        except Exception as error:  # whatever is wrong with one version, the others go on
            self._refused[folder.path] = _Refused(folder, error)
            _log.error(
                "refused %s %s: %s; it is tried again when its files change",
                folder.name,
                folder.version,
                error if isinstance(error, AisleError) else repr(error),
            )
            return None
        if fingerprint(folder.path) != folder.fingerprint:
            model.pipeline.close()
            return None
        self._refused.pop(folder.path, None)
        self._opened[folder.path] = _Opened(folder.fingerprint, manifest)
        return model

    def _publish(self, name: str, wanted: list[ServedModel], is_on_disk: bool) -> None:
        """Serve `wanted`, unless that would be nothing while there is something better."""
        names, served = self._registry.names, self._registry.loaded(name)
        if not wanted and (is_on_disk or names == [name]):
            return
        self._registry.publish(name, wanted)
        if not wanted:
            _log.warning("%s is gone from %s and no longer served", name, self._models_dir)
        elif not served or served[0] is not wanted[0]:
            _log.info("serving %s %s with %s", name, wanted[0].version, wanted[0].predictor.engine.name)
        if self._thread is not None and len(names) == 1 and not served:
            several = ", ".join(self._registry.names)
            _log.warning("there are several models now, calls that name none of them are refused: %s", several)

    def _report_troubles(self, scan: FolderScan) -> None:
        """One line when the folder, or one in it, becomes unreadable or empty; none while it stays so."""
        troubles = dict(scan.unreadable)
        if not scan.versions and not troubles:
            troubles[self._models_dir] = "it holds no model any more"
        for path, reason in troubles.items():
            if self._registry.names and self._troubles.get(path) != reason:
                _log.error("cannot follow %s: %s; what is served stays", path, reason)
        self._troubles = troubles
