"""Measures an index engine: build, memory, recall with and without filters, queries beside changes, kill -9.

python -m benchmarks.retrieval.index --products 1000000
"""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro

from model.machine.console import wide_console
from retrieval.index.description import IndexDescription
from retrieval.index.engine import NO_FILTER, IndexEngine
from retrieval.index.filter import ProductFilter
from retrieval.index.index_folder import IndexBuild, open_index
from retrieval.index.record import Attributes, IndexRecord
from retrieval.settings import IndexSettings

_CHUNK = 4096
_K = 10
_CATEGORIES, _BRANDS = 7, 100
_QUERIES = 500
_MIXED_S = 20.0


@dataclass(frozen=True)
class IndexBenchmark:
    """Measure an index of clustered unit vectors, as products are: 5,000 groups in 48 dimensions, and noise."""

    products: int = 100_000
    """Products of the index."""
    dim: int = 256
    """Numbers in a vector."""
    index: str = ""
    """Folder or postgresql:// URL to build in; a temporary folder without."""
    engine: Literal["hnsw", "exact"] = "hnsw"
    """Engine of a folder."""
    kills: int = 20
    """Times that a process that changes the index is killed."""
    seed: int = 0
    """Seed of the vectors."""
    json: Path | None = None
    """File for the figures."""


def clustered(count: int, dim: int, seed: int) -> np.ndarray:
    """(count, dim) float32 unit vectors."""
    random = np.random.default_rng(seed)
    shape = np.random.default_rng(1).standard_normal((48, dim)).astype(np.float32)
    centers = np.random.default_rng(2).standard_normal((5000, 48)).astype(np.float32)
    latent = centers[random.integers(0, 5000, count)] + 0.5 * random.standard_normal((count, 48), dtype=np.float32)
    vectors = latent @ shape / np.sqrt(np.float32(48)) + 0.1 * random.standard_normal((count, dim), dtype=np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def record(number: int, vector: np.ndarray) -> IndexRecord:
    """The product of a number: its brand is one of 100, its category one of 7, its price its number modulo 1,000."""
    attributes = Attributes(
        f"product {number}", f"A>B{number % _CATEGORIES}", f"brand {number % _BRANDS}", "mall", float(number % 1000)
    )
    return IndexRecord(f"p{number}", attributes, {"joint": vector})


#: Conditions with the share of products that they leave, and which numbers meet them.
FILTERS: tuple[tuple[str, ProductFilter, Callable[[np.ndarray], np.ndarray]], ...] = (
    ("none", NO_FILTER, lambda numbers: numbers >= 0),
    ("brand, 1 %", ProductFilter(brands=("brand 3",)), lambda numbers: numbers % _BRANDS == 3),
    ("price, 1 %", ProductFilter(min_price=500, max_price=509), lambda numbers: (numbers % 1000) // 10 == 50),
    ("sub-tree, 14 %", ProductFilter(category="A>B2"), lambda numbers: numbers % _CATEGORIES == 2),
    ("price, 50 %", ProductFilter(max_price=499), lambda numbers: numbers % 1000 < 500),
)


def main(settings: IndexBenchmark) -> dict[str, Any]:
    """Run all parts and return the figures."""
    vectors = clustered(settings.products, settings.dim, settings.seed + 3)
    queries = clustered(_QUERIES, settings.dim, settings.seed + 4)
    with tempfile.TemporaryDirectory() as folder:
        location = settings.index or str(Path(folder) / "index")
        figures: dict[str, Any] = {"settings": dataclasses.asdict(settings) | {"json": None}}
        figures["build"] = _build(settings, location, vectors)
        before = _memory_mib()
        started_s = time.perf_counter()
        with open_index(location, writes=True) as engine:
            figures["open"] = {"seconds": time.perf_counter() - started_s, "memory_mib": _memory_mib() - before}
            figures["search"] = [_search(engine, *entry, vectors, queries) for entry in FILTERS]
            figures["mixed"] = _mixed(engine, vectors, queries)
        if not settings.index and settings.kills:
            figures["kills"] = _kill(location, settings)
    return figures


def _build(settings: IndexBenchmark, location: str, vectors: np.ndarray) -> dict[str, float]:
    is_remote = location.startswith("postgres")
    engine = "postgres" if is_remote else settings.engine
    description = IndexDescription(
        engine, "benchmark", "1", "", "0", {"joint": settings.dim}, "none", "", IndexSettings()
    )
    started_s, processor_s = time.perf_counter(), time.process_time()
    with IndexBuild(location, description, "benchmark") as build:
        for start in range(0, len(vectors), _CHUNK):
            chunk = vectors[start : start + _CHUNK]
            build.engine.upsert([record(start + i, vector) for i, vector in enumerate(chunk)])
            build.note_done(start + len(chunk))
        written_s = time.perf_counter() - started_s
        build.finish()
    folder_bytes = 0 if is_remote else sum(path.stat().st_size for path in Path(location).rglob("*"))
    return {
        "records_seconds": written_s,
        "seconds": time.perf_counter() - started_s,
        "processor_seconds": time.process_time() - processor_s,
        "disk_mib": folder_bytes / 2**20,
    }


def _search(
    engine: IndexEngine,
    name: str,
    condition: ProductFilter,
    meets: Callable[[np.ndarray], np.ndarray],
    vectors: np.ndarray,
    queries: np.ndarray,
) -> dict[str, Any]:
    numbers = np.flatnonzero(meets(np.arange(len(vectors))))
    asked = queries if name == "none" else queries[:200]
    expected = np.concatenate([_nearest(vectors, numbers, part) for part in np.array_split(asked, 20)])
    rates = {}
    for threads in (1, 2):
        with ThreadPoolExecutor(threads) as pool:
            started_s = time.perf_counter()
            hits = list(pool.map(lambda query: engine.search("joint", query[None], _K, condition)[0], asked))
            rates[threads] = len(asked) / (time.perf_counter() - started_s)
    shares = [
        len({int(hit.product_id[1:]) for hit in found} & set(nearest)) / _K
        for found, nearest in zip(hits, expected.tolist(), strict=True)
    ]
    return {"filter": name, "recall": float(np.mean(shares)), "queries_s": rates[1], "queries_s_2_threads": rates[2]}


def _nearest(vectors: np.ndarray, numbers: np.ndarray, queries: np.ndarray) -> np.ndarray:
    chosen = vectors if len(numbers) == len(vectors) else vectors[numbers]
    best = np.argpartition(-(queries @ chosen.T), _K, axis=1)[:, :_K]
    return np.asarray(numbers[best])


def _mixed(engine: IndexEngine, vectors: np.ndarray, queries: np.ndarray) -> dict[str, float]:
    """200 changes/s beside 200 queries/s, each one at a time."""
    stop = threading.Event()
    taken_ms: dict[str, list[float]] = {"change": [], "query": []}
    random = np.random.default_rng(5)
    numbers = random.integers(0, len(vectors), 100_000)

    def change(turn: int) -> None:
        number = int(numbers[turn])
        if turn % 10 == 9:
            engine.delete([f"p{number}"])
        else:
            engine.upsert([record(number, vectors[number])])

    def query(turn: int) -> None:
        engine.search("joint", queries[turn % len(queries)][None], _K)

    def paced(kind: str, act: Callable[[int], None]) -> None:
        for turn, due_s in enumerate(_ticks(1 / 200)):
            if stop.is_set():
                return
            time.sleep(max(0.0, due_s - time.perf_counter()))
            act(turn)
            taken_ms[kind].append((time.perf_counter() - due_s) * 1000)

    threads = [threading.Thread(target=paced, args=entry) for entry in (("change", change), ("query", query))]
    for thread in threads:
        thread.start()
    time.sleep(_MIXED_S)
    stop.set()
    for thread in threads:
        thread.join()
    figures = {}
    for kind, values in taken_ms.items():
        figures |= {f"{kind}s_s": len(values) / _MIXED_S, f"{kind}_p50_ms": float(np.percentile(values, 50))}
        figures[f"{kind}_p99_ms"] = float(np.percentile(values, 99))
    return figures


def _ticks(step_s: float) -> Iterator[float]:
    due_s = time.perf_counter()
    while True:
        due_s += step_s
        yield due_s


def _kill(location: str, settings: IndexBenchmark) -> dict[str, int]:
    """Kill a process that changes the index at random moments; look for every acknowledged change."""
    random = np.random.default_rng(6)
    lost = half = acknowledged = 0
    for turn in range(settings.kills):
        change = ["--change", location, str(turn), str(settings.dim)]
        command = [sys.executable, "-m", "benchmarks.retrieval.index", *change]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()  # it is open
            time.sleep(random.uniform(0.05, 1.5))
            process.send_signal(signal.SIGKILL)
            lines = [line.split() for line in process.stdout.read().splitlines() if line.count(" ") == 1]
        last = dict(lines)
        acknowledged += len(lines)
        with open_index(location) as engine:
            for product_id, found in zip(last, engine.get(list(last)), strict=True):
                version = "gone" if found is None else found.attributes.mall
                lost += version < last[product_id] if version != "gone" else 1
                half += found is not None and not _is_whole(found, settings.dim)
    return {"kills": settings.kills, "acknowledged": acknowledged, "lost": lost, "half": half}


def _is_whole(found: IndexRecord, dim: int) -> bool:
    """True when vector and attributes are of one version."""
    return np.allclose(found.vectors["joint"], _versioned(found.attributes.mall, dim), atol=2e-3)


def _versioned(version: str, dim: int) -> np.ndarray:
    return clustered(1, dim, int(version))[0]


def _change(location: str, turn: int, dim: int) -> None:
    """Change products without end, and print each change once it is acknowledged."""
    with open_index(location, writes=True) as engine:
        _say("open")
        for number in range(10_000_000):
            version = f"{turn * 10_000_000 + number:012d}"
            attributes = Attributes(mall=version)
            engine.upsert([IndexRecord(f"k{number % 50}", attributes, {"joint": _versioned(version, dim)})])
            _say(f"k{number % 50} {version}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _memory_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    if sys.argv[1:2] == ["--change"]:
        _change(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        chosen = tyro.cli(IndexBenchmark, prog="python -m benchmarks.retrieval.index")
        measured = main(chosen)
        wide_console().print_json(json.dumps(measured))
        if chosen.json is not None:
            chosen.json.write_text(json.dumps(measured, indent=1), encoding="utf-8")
