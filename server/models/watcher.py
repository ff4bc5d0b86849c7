"""Watches a folder of models: loads new versions beside the served ones, then swaps them in."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from model.bundle_files import FILES
from model.errors import AisleError, BundleError
from server.models.folder import Fingerprint, FolderScan, VersionFolder, fingerprint, scan_models, version_key
from server.models.loader import ModelLoader
from server.models.registry import ModelRegistry, ServedModel, VersionState

_log = logging.getLogger("aisle.server")


@dataclass(frozen=True)
class _Opened:
    """The files of a loaded version, as they were when it was read."""

    fingerprint: Fingerprint
    manifest: bytes


@dataclass(frozen=True)
class _Refused:
    """A version that could not be loaded, with its error."""

    folder: VersionFolder
    error: Exception


class ModelWatcher:
    """Keeps a registry at the newest valid versions of a folder of models.

    A version is read only when its folder did not change between two polls, so that a copy in progress is neither
    read nor reported. A version that cannot be loaded is refused with one log line and tried again when its files
    change. Whatever happens on disk, a served version stays until a better one is loaded or the folder of its model
    is removed.

    Args:
        num_versions: newest valid versions of each model to keep loaded.
    """

    def __init__(
        self,
        models_dir: Path,
        loader: ModelLoader,
        registry: ModelRegistry,
        num_versions: int,
    ):
        self._models_dir = models_dir
        self._loader = loader
        self._registry = registry
        self._num_versions = num_versions
        self._scan = FolderScan()
        self._opened: dict[Path, _Opened] = {}
        self._refused: dict[Path, _Refused] = {}
        self._scan_errors: dict[Path, str] = {}
        self._stop_requested = threading.Event()
        self._thread: threading.Thread | None = None

    def load(self) -> None:
        """Load the current versions, before the server accepts calls.

        Raises:
            AisleError: no model can be served; the error of the first one.
        """
        self._scan = scan_models(self._models_dir)
        self._sync(self._scan)
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
        """Scan once, and apply the folders that did not change since the last scan."""
        scan = scan_models(self._models_dir)
        self._sync(scan)
        self._scan = scan

    def start(self, poll_s: float, on_names: Callable[[list[str]], None]) -> None:
        """Start polling, on a thread of its own.

        Args:
            on_names: called with the names of all models after one was added or removed.
        """
        self._thread = threading.Thread(target=self._watch, args=(poll_s, on_names), name="model-watcher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop polling; return when a version that is being loaded has been closed."""
        self._stop_requested.set()
        self._loader.stop()
        if self._thread is not None:
            self._thread.join()

    def _watch(self, poll_s: float, on_names: Callable[[list[str]], None]) -> None:
        names = self._registry.names
        while not self._stop_requested.wait(poll_s):
            try:
                self.poll()
                if self._registry.names != names:
                    names = self._registry.names
                    on_names(names)
            except Exception:  # an error of the watcher itself must not end it
                _log.exception("watching %s failed; it is tried again", self._models_dir)

    def _sync(self, scan: FolderScan) -> None:
        """Update the registry to a scan, for the folders that are the same as in the scan before."""
        if self._models_dir in scan.unreadable or not scan.versions:
            self._report_scan_errors(scan)
            return
        for name in sorted({*scan.versions, *self._registry.names}):
            if self._models_dir / name not in scan.unreadable and not self._stop_requested.is_set():
                self._sync_model(name, scan)
        on_disk = {folder.path for folders in scan.versions.values() for folder in folders}
        self._refused = {path: refused for path, refused in self._refused.items() if path in on_disk}
        self._report_scan_errors(scan)
        self._registry.set_refusals(
            [VersionState(r.folder.name, r.folder.version, "refused", str(r.error)) for r in self._refused.values()]
        )

    def _sync_model(self, name: str, scan: FolderScan) -> None:
        found = {folder.version: folder for folder in scan.versions.get(name, [])}
        before = {folder.version: folder for folder in self._scan.versions.get(name, [])}
        loaded = {model.version: model for model in self._registry.loaded(name)}
        wanted: list[ServedModel] = []
        for version in sorted({*found, *loaded}, key=version_key, reverse=True):
            folder, model = found.get(version), loaded.get(version)
            if folder == before.get(version):
                model = self._choose(folder, model)
            if model is not None:
                wanted.append(model)
            if len(wanted) == self._num_versions or self._stop_requested.is_set():
                break
        if self._stop_requested.is_set():
            for model in set(wanted).difference(loaded.values()):
                model.pool.close()
        elif wanted != list(loaded.values()):
            self._publish(name, wanted, bool(found))

    def _choose(self, folder: VersionFolder | None, model: ServedModel | None) -> ServedModel | None:
        """Return the model to serve for a version whose folder did not change between two scans.

        Args:
            folder: None when it was removed.
            model: the loaded model of that version, if any.
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
        """Return True when the manifest on disk is the one that a version was loaded with, or cannot be read."""
        opened = self._opened[folder.path]
        if folder.fingerprint == opened.fingerprint:
            return True
        try:
            return (folder.path / FILES.manifest).read_bytes() == opened.manifest
        except OSError:
            return True

    def _open(self, folder: VersionFolder) -> ServedModel | None:
        """Load a version; return None when it cannot be served, or changed while it was read."""
        try:
            manifest = (folder.path / FILES.manifest).read_bytes()
            model = self._loader.open(folder.path, folder.name, is_beside_calls=self._thread is not None)
        except Exception as error:  # an error of one version must not affect the others
            if self._stop_requested.is_set():
                return None
            self._refused[folder.path] = _Refused(folder, error)
            _log.error(
                "refused %s %s: %s; it is tried again when its files change",
                folder.name,
                folder.version,
                error if isinstance(error, AisleError) else repr(error),
            )
            return None
        if fingerprint(folder.path) != folder.fingerprint:
            model.pool.close()
            return None
        self._refused.pop(folder.path, None)
        self._opened[folder.path] = _Opened(folder.fingerprint, manifest)
        return model

    def _publish(self, name: str, wanted: list[ServedModel], is_on_disk: bool) -> None:
        """Publish `wanted`; an empty list only when the model was removed from disk and others are served."""
        names, served = self._registry.names, self._registry.loaded(name)
        if not wanted and (is_on_disk or names == [name]):
            return
        self._registry.publish(name, wanted)
        if not wanted:
            _log.warning("%s is gone from %s and no longer served", name, self._models_dir)
        elif not served or served[0] is not wanted[0]:
            _log.info("serving %s %s with %s", name, wanted[0].version, wanted[0].engine)
        if self._thread is not None and len(names) == 1 and not served:
            several = ", ".join(self._registry.names)
            _log.warning("there are several models now, calls that name none of them are refused: %s", several)

    def _report_scan_errors(self, scan: FolderScan) -> None:
        """Log once when the folder, or one in it, becomes unreadable or empty."""
        errors = dict(scan.unreadable)
        if not scan.versions and not errors:
            errors[self._models_dir] = "it holds no model any more"
        for path, reason in errors.items():
            if self._registry.names and self._scan_errors.get(path) != reason:
                _log.error("cannot read %s: %s; the served versions stay", path, reason)
        self._scan_errors = errors
