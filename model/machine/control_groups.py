"""Control groups (cgroups) of this process, which limit what a container may use of its machine."""

import re
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
        root: folder with `proc/self/cgroup`, `proc/self/mountinfo` and `sys/fs/cgroup`; they may be absent.
    """
    mounts = list(_mounts(controller, root))
    for line in read_text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        version = 1 if controllers else 2
        found = [(mount, top) for mount, top, mounted_version in mounts if mounted_version == version]
        for mount, top in found or [(mount, "/") for mount in _usual_mounts(root / "sys/fs/cgroup", controllers)]:
            group = _folder(mount, top, path)
            # Inside a container the path may be the host's, which is not there; then the mount is the group itself.
            for folder in (group, *group.parents):
                if folder.is_relative_to(mount):
                    yield ControlGroup(folder, version)


def read_text(path: Path) -> str:
    """Text of a file of the system; "" where it is absent or unreadable."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def _mounts(controller: str, root: Path) -> Iterator[tuple[Path, str, int]]:
    """Where a controller's groups are mounted, the group that is seen there, and the version.

    Version 1 is mounted by the controllers' names, as cpu,cpuacct or cpuacct,cpu, and a link named cpu need not be
    there; beside it version 2 may be mounted at a folder of its own.
    """
    for line in read_text(root / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, kind_and_options = before.split(" "), after.split(" ")
        if len(fields) < 5 or len(kind_and_options) < 3:
            continue
        mount = root / _unescaped(fields[4]).lstrip("/")
        if kind_and_options[0] == "cgroup2":
            yield mount, _unescaped(fields[3]), 2
        elif kind_and_options[0] == "cgroup" and controller in kind_and_options[2].split(","):
            yield mount, _unescaped(fields[3]), 1


def _usual_mounts(folder: Path, controllers: str) -> list[Path]:
    """Where a hierarchy may be; beside those of version 1, each named after what it controls, 2 is not on top."""
    if not controllers:
        return [folder, folder / "unified"]
    return [folder / name for name in dict.fromkeys((controllers, *controllers.split(",")))]


def _folder(mount: Path, top: str, path: str) -> Path:
    """The folder of a group, whose path begins at the same place as that of the group that the mount shows."""
    if top != "/" and (path == top or path.startswith(f"{top}/")):
        path = path[len(top) :]
    return mount / path.lstrip("/")


def _unescaped(text: str) -> str:
    """A path as it is; /proc writes spaces, tabs and the like as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
