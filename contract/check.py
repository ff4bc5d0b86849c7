"""Checks the contract and its compatibility with the last release: `python -m contract.check`.

The contract has to pass buf's lint, to break no client of the last release (proto/released.binpb), and to compile for
Java and Go where their protoc plugins are on the PATH. Needs no network.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contract.generate import ROOT, build_image, contract_sources, run_protoc

RELEASED = Path("proto/released.binpb")
CONFIG = Path("proto/buf.yaml")


@dataclass(frozen=True)
class Language:
    """A language that the contract is compiled for, beside Python.

    Args:
        plugins: the names of the protoc plugins on the PATH; each writes files of its own.
    """

    name: str
    plugins: tuple[str, ...]


LANGUAGES = (
    Language("Java", ("protoc-gen-grpc-java",)),
    Language("Go", ("protoc-gen-go", "protoc-gen-go-grpc")),
)


class CheckError(Exception):
    """The contract failed a check; the text includes the tool's own output."""


def check(root: Path = ROOT) -> list[str]:
    """Run all checks of the contract.

    Args:
        root: the folder that holds `proto/`.
    Returns:
        A sentence for each check.
    Raises:
        CheckError: the first check that failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "contract.binpb"
        build_image(image, root)
        config = ["--config", str(root / CONFIG)]
        _buf("lint", str(image), *config)
        _buf("breaking", str(image), "--against", str(root / RELEASED), "--exclude-imports", *config)
        languages = [_compile(root, language, Path(folder) / language.name) for language in LANGUAGES]
    return ["the contract passes buf lint", f"it breaks nothing of {RELEASED}", *languages]


def release(root: Path = ROOT) -> Path:
    """Store the current contract as the one that later changes are compared with; a step of every release."""
    build_image(root / RELEASED, root, with_comments=False)
    return root / RELEASED


def _buf(verb: str, *arguments: str) -> None:
    buf = shutil.which("buf", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))))
    if buf is None:
        raise CheckError("buf was not found; run pip install -r requirements-dev.txt")
    done = subprocess.run([buf, verb, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CheckError(f"buf {verb} refused the contract:\n{done.stdout}{done.stderr}".rstrip())


def _compile(root: Path, language: Language, out: Path) -> str:
    missing = [plugin for plugin in language.plugins if shutil.which(plugin) is None]
    if missing:
        return f"{language.name}: skipped, {' and '.join(missing)} not on the PATH"
    out.mkdir()
    sources = [str(path.relative_to(root / "proto")) for path in contract_sources(root)]
    flags = []
    for plugin in language.plugins:
        generator = plugin.removeprefix("protoc-gen-")
        flags += [f"--plugin={plugin}={shutil.which(plugin)}", f"--{generator}_out={out}"]
    try:
        run_protoc(root / "proto", [*flags, *sources])
    except RuntimeError as error:
        raise CheckError(f"{language.name}: {error}") from error
    return f"{language.name}: compiles to {sum(path.is_file() for path in out.rglob('*'))} files"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m contract.check", description="Check the contract.")
    parser.add_argument("--release", action="store_true", help=f"store it as the released one, {RELEASED}, instead")
    if parser.parse_args(arguments).release:
        print(f"wrote {release().relative_to(ROOT)}")
    else:
        print("\n".join(check()))


if __name__ == "__main__":
    try:
        main()
    except (CheckError, RuntimeError, FileNotFoundError) as error:
        sys.exit(str(error))
