"""The limit of this process' memory, what it uses, and that it gives back what it has freed."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from model.machine.memory import memory_limit_bytes, resident_bytes

GIB, MIB = 2**30, 2**20
NO_LIMIT_V1 = f"{2**63 - 4096}\n"
V2, V1 = "0::/shop/job\n", "3:cpuset:/\n2:cpu,cpuacct:/\n1:memory:/shop/job\n"
MACHINE = "MemTotal:       16777216 kB\nMemFree:         1234567 kB\n"

#: Frees messages of 1 to 31 MiB in 8 threads, each beside a small thing that stays.
LARGE_MESSAGES = """
import sys, threading
from model.machine.memory import resident_bytes, return_freed_memory, trim_memory
{prepare}
kept, before = [], resident_bytes()
def receive():
    for size_mib in range(1, 33, 3):
        for _ in range(2):
            message = b"x" * (size_mib << 20)
            kept.append(b"y" * 10_000)
threads = [threading.Thread(target=receive) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(resident_bytes() - before)
"""
#: Frees 80 MB in pieces of 100 kB, with a smaller one that stays after every tenth.
MANY_PIECES = """
from model.machine.memory import resident_bytes, return_freed_memory, trim_memory
{prepare}
before = resident_bytes()
pieces = [b"x" * 100_000 if i % 11 else b"y" * 50_000 for i in range(880)]
pieces = pieces[::11]
{finish}
print(resident_bytes() - before)
"""
needs_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="settings of glibc")


def system(root: Path, groups: str, files: dict[str, str]) -> Path:
    texts = {"proc/self/cgroup": groups, "proc/meminfo": MACHINE}
    texts.update((f"sys/fs/cgroup/{name}", text) for name, text in files.items())
    for name, text in texts.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
    return root


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        (V2, {}, 16 * GIB),
        (V2, {"shop/job/memory.max": "max\n"}, 16 * GIB),
        (V2, {"shop/job/memory.max": f"{2 * GIB}\n"}, 2 * GIB),
        (V2, {"shop/job/memory.max": f"{64 * GIB}\n"}, 16 * GIB),  # more than the machine has
        (V2, {"shop/job/memory.max": f"{4 * GIB}\n", "shop/memory.max": f"{3 * GIB}\n"}, 3 * GIB),  # of a group above
        (V2, {"memory.max": f"{GIB}\n"}, GIB),  # in a container, whose own group is the root
        (V2, {"shop/job/memory.max": "nonsense\n"}, 16 * GIB),
        (V1, {"memory/shop/job/memory.limit_in_bytes": NO_LIMIT_V1}, 16 * GIB),
        (V1, {"memory/shop/job/memory.limit_in_bytes": f"{2 * GIB}\n"}, 2 * GIB),
        (V1, {"memory/shop/memory.limit_in_bytes": f"{2 * GIB}\n"}, 2 * GIB),
        (V1, {"memory/memory.limit_in_bytes": f"{GIB}\n"}, GIB),
        (V1, {"cpu/memory.limit_in_bytes": f"{GIB}\n"}, 16 * GIB),  # of another controller
        (V1 + "0::/shop\n", {"unified/shop/memory.max": f"{GIB}\n"}, GIB),  # both versions side by side
    ],
)
def test_the_least_of_machine_and_groups(groups: str, files: dict[str, str], expected: int, tmp_path: Path) -> None:
    assert memory_limit_bytes(system(tmp_path, groups, files)) == expected


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    assert memory_limit_bytes(tmp_path) == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_this_process_lies_below_its_limit() -> None:
    assert 10 * MIB < resident_bytes() == pytest.approx(resident_bytes(os.getpid()), rel=0.1)
    assert resident_bytes() < memory_limit_bytes()


def test_another_process_and_one_that_has_ended() -> None:
    block = 64 * MIB
    program = f"block = b'x' * {block}; print(flush=True); input()"
    child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        assert block < resident_bytes(child.pid) < 2 * block
    with pytest.raises(ProcessLookupError, match=f"expected a running process, found none with id {child.pid}"):
        resident_bytes(child.pid)


def kept_bytes(program: str, prepare: str = "", finish: str = "") -> int:
    """What a process of its own has more at the program's end than before its work."""
    command = [sys.executable, "-c", program.format(prepare=prepare, finish=finish)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    return int(done.stdout)


@needs_glibc
def test_large_messages_leave_nothing_behind() -> None:
    assert kept_bytes(LARGE_MESSAGES) > 100 * MIB, "without the setting they do"
    assert kept_bytes(LARGE_MESSAGES, prepare="return_freed_memory()") < 20 * MIB


@needs_glibc
def test_trimming_gives_back_what_lies_between_blocks_in_use() -> None:
    prepare = "return_freed_memory()"
    assert kept_bytes(MANY_PIECES, prepare) > 60 * MIB, "what stays at the end of the heap holds it all"
    assert kept_bytes(MANY_PIECES, prepare, finish="trim_memory()") < 20 * MIB


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from model.machine import memory

    monkeypatch.setattr(memory.platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: pytest.fail("loaded"))
    memory.return_freed_memory()
    memory.trim_memory()
    memory.keep_freed_memory()
