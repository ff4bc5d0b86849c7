"""Control groups (cgroups) of this process, which limit what a container may use of its machine."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ControlGroup:
    """One group that this process is in.

    Args:
        folder: holds its settings, one file each.
        version: 1 or 2; the same limit has another file in each.
    """

    folder: Path
    version: int

    def setting(self, name: str) -> str:
        """Text of one of its files, without blanks around; "" where there is none."""
        return read_text(self.folder / name).strip()


def control_groups(controller: str, root: Path) -> Iterator[ControlGroup]:
    """Groups of this process that a controller may limit, each before the group around it.

    Args:
        controller: "cpu" or "memory".
        root: folder with `proc/self/cgroup` and `sys/fs/cgroup`; they may be absent.
    """
    for line in read_text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        for mount in _mounts(root / "sys/fs/cgroup", controllers):
            group = mount / path.lstrip("/")
            # Inside a container the path may be the host's, which is not there; then the mount is the group itself.
            for folder in (group, *group.parents):
                if folder.is_relative_to(mount):
                    yield ControlGroup(folder, 1 if controllers else 2)


def read_text(path: Path) -> str:
    """Text of a file of the system; "" where it is absent or unreadable."""
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""


def _mounts(folder: Path, controllers: str) -> list[Path]:
    """Where a hierarchy may be; beside those of version 1, each named after what it controls, 2 is not on top."""
    if not controllers:
        return [folder, folder / "unified"]
    return [folder / name for name in dict.fromkeys((controllers, *controllers.split(",")))]
