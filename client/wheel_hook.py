"""The build step of the client's wheel, run by hatchling: it gathers `aisle_client/` and builds its stubs."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class WheelHook(BuildHookInterface):
    """Adds the sources of `aisle_client/`, which lies beside the project's folder, and stubs made for this wheel.

    Stubs that lie in the repository are left out: another protoc may have built them.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the files of the wheel.

        Raises:
            RuntimeError: an sdist is asked for, the repository is not around this folder, or protoc failed.
        """
        root = Path(self.root).parent
        if self.target_name != "wheel" or version != "standard":
            found = "an editable install" if version == "editable" else f"an {self.target_name}"
            raise RuntimeError(f"expected a wheel to be built, found {found}; run pip install ./client")
        if not (root / "aisle_client").is_dir() or not (root / "contract").is_dir():
            raise RuntimeError(f"expected aisle_client/ and contract/ in {root}, found none; build in a clone of Aisle")
        sources = [path for path in (root / "aisle_client").rglob("*") if _is_source(path)]
        self._stubs = tempfile.TemporaryDirectory()
        command = [sys.executable, "-m", "contract.generate", "--out", self._stubs.name]
        if subprocess.run(command, cwd=root, check=False).returncode:
            raise RuntimeError("the stubs could not be built; see the message above")
        stubs = [path for path in Path(self._stubs.name).rglob("*") if path.is_file()]
        for folder, paths in ((root, sources), (Path(self._stubs.name), stubs)):
            build_data["force_include"].update({str(path): str(path.relative_to(folder)) for path in paths})
        build_data["force_include"][str(root / "LICENSE")] = "aisle_client/LICENSE"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Remove the stubs, which the wheel holds by now."""
        self._stubs.cleanup()


def _is_source(path: Path) -> bool:
    return path.is_file() and "_pb2" not in path.name and "__pycache__" not in path.parts
