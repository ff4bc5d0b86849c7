"""Builds the Python stubs of the contract into place: `python -m proto.generate`.

Stubs land beside their .proto file and import as `from proto.aisle.v1 import classifier_pb2`.
"""

import importlib.resources
import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def google_include() -> Path:
    """Return the folder that holds google/rpc/status.proto (wheel googleapis-common-protos)."""
    spec = importlib.util.find_spec("google.rpc")
    folders = list(spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        if (Path(folder) / "status.proto").exists():
            return Path(folder).parent.parent
    raise FileNotFoundError("google/rpc/status.proto was not found; run pip install googleapis-common-protos")


def generate(root: Path = ROOT) -> list[Path]:
    """Build the stubs that are missing or older than their .proto file or this script.

    Args:
        root: the folder that holds `proto/`.
    Returns:
        The .proto files that were compiled; empty when everything was up to date.
    Raises:
        RuntimeError: protoc refused a file; its own message is on stderr.
    """
    stale = [source for source in sorted((root / "proto").rglob("*.proto")) if not _is_fresh(source)]
    if stale:
        flags = [f"--python_out={root}", f"--pyi_out={root}", f"--grpc_python_out={root}"]
        run_protoc(root, [*flags, *(str(source.relative_to(root)) for source in stale)])
    return stale


def build_image(path: Path, root: Path = ROOT, *, with_comments: bool = True) -> None:
    """Write the contract as a descriptor set, imports included, for `buf lint` and `buf breaking`.

    Args:
        with_comments: keep comments and source positions, so that lint can name lines.
    Raises:
        RuntimeError: protoc refused a file; its own message is on stderr.
    """
    sources = sorted((root / "proto").rglob("*.proto"))
    flags = [f"--descriptor_set_out={path}", "--include_imports"]
    if with_comments:
        flags.append("--include_source_info")
    run_protoc(root / "proto", [*flags, *(str(source.relative_to(root / "proto")) for source in sources)])


def _is_fresh(source: Path) -> bool:
    stubs = [source.with_name(source.stem + ending) for ending in ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py")]
    newest_input = max(source.stat().st_mtime, Path(__file__).stat().st_mtime)
    return all(stub.exists() and stub.stat().st_mtime >= newest_input for stub in stubs)


def run_protoc(include: Path, arguments: Sequence[str]) -> None:
    """Run protoc with Google's own .proto files on the include path.

    Args:
        include: the folder that the .proto files among `arguments` are relative to.
    Raises:
        RuntimeError: protoc refused a file; its own message is on stderr.
    """
    builtin = importlib.resources.files("grpc_tools") / "_proto"
    includes = [f"-I{include}", f"-I{google_include()}", f"-I{builtin}"]
    # A process of its own: protoc's C++ and TensorFlow's protobuf crash in one.
    if subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *includes, *arguments], check=False).returncode:
        sources = ", ".join(argument for argument in arguments if argument.endswith(".proto"))
        raise RuntimeError(f"protoc refused {sources}; see its message above")


def main() -> None:
    """The command line."""
    print("\n".join(f"built {source.relative_to(ROOT)}" for source in generate()) or "stubs are up to date")


if __name__ == "__main__":
    try:
        main()
    except (RuntimeError, FileNotFoundError) as error:
        sys.exit(str(error))
