"""Lines as the benchmarks write them, with figures made up."""

from typing import Any

from lungscore.inference import load_bundle

HOST = {
    "cpu": "Some CPU",
    "flags": ["avx2", "avx512f"],
    "threads_available": 2,
    "machine": "x86_64",
    "system": "Linux",
    "python": "3.12.1",
    "load": 0.1,
}


def spread(*values: float) -> dict[str, Any]:
    ordered = sorted(values)
    return {"p50": ordered[len(ordered) // 2], "p95": ordered[-1], "values": list(values)}


def latency_line(
    slices: int,
    wall: float,
    *,
    name: str = "phantom",
    form: str = "dicom",
    network: float = 1.0,
    memory_mib: float = 500.0,
    **other: Any,
) -> dict[str, Any]:
    """Three runs, of which the middle one takes ``wall`` seconds."""
    walls = spread(wall - 0.01, wall, wall + 0.01)
    return {
        "schema": "lungscore.latency/1",
        "command": "python experiments/speed/latency.py -o made-up.jsonl",
        "commit": "abc0123",
        "host": HOST,
        "versions": {"lungscore": "0.1.0", "numpy": "2.4.6"},
        "threads": 2,
        "omp_num_threads": None,
        "engine": "openvino",
        "precision": "f32",
        "options": [],
        "input": {"name": name, "format": form, "slices": slices},
        "repeats": 3,
        "wall_seconds": walls,
        "cpu_seconds": walls,
        "peak_memory_mib": spread(memory_mib, memory_mib, memory_mib),
        "stages": {
            "read": spread(0.1, 0.1, 0.1),
            "lesions": spread(*[network - 0.5] * 3),
            "ranges": spread(0.5, 0.5, 0.5),
        },
        "sha256": {},
        **other,
    }


def stages_line(slices: int, total: float, network: float) -> dict[str, Any]:
    keys = ("host", "commit", "threads", "engine", "precision", "options", "input")
    line = latency_line(slices, total)
    parts = [
        {"path": ["lesions"], "seconds": network, "own_seconds": 0.5, "calls": 1},
        {
            "path": ["lesions", "network"],
            "seconds": network - 0.5,
            "own_seconds": network - 0.5,
            "calls": 1,
        },
        {"path": ["beside", "network"], "seconds": 99.0, "own_seconds": 99.0, "calls": 4},
        {"path": ["beside", "masks"], "seconds": 99.0, "own_seconds": 99.0, "calls": 4},
    ]
    return {
        "schema": "lungscore.stages/1",
        "command": "python experiments/speed/stages.py -o made-up.jsonl",
        **{key: line[key] for key in keys},
        "stages": {"lesions": network, "ranges": 0.5},
        "total_seconds": total,
        "parts": parts,
    }


def networks_line(times_slower: float, *, threads: int = 2) -> dict[str, Any]:
    """Res2Net-50 takes ``times_slower`` times as long as what ships."""
    card = load_bundle("infection").card
    network = {"height": 256, "width": 320, "parameters": 17_800_000}
    network |= {"network": f"{card.network}, {card.encoder}"}
    return {
        "schema": "lungscore.networks/1",
        "command": "python experiments/speed/networks.py -o made-up.jsonl",
        "commit": "abc0123",
        "host": HOST,
        "versions": {"torch": "2.13.0"},
        "threads": threads,
        "slices": 16,
        "repeats": 3,
        "networks": [
            network
            | {
                "key": key,
                "engine": engine,
                "precision": "f32",
                "seconds_per_slice": [seconds * times for times in (1.0, 1.1, 1.2)],
            }
            for key, engine, seconds in (
                ("shipped", "openvino", 0.05),
                ("res2net-50", "torch eager", 0.05 * times_slower),
            )
        ],
    }


def training_row(*speeds: float, first: float = 2.0, **choices: Any) -> dict[str, Any]:
    """A setting of training.py: slices a second in three turns, seconds of the first epoch."""
    return {
        "threads": 2,
        "augmented_on": "cpu",
        "batch": 16,
        "precision": "bf16-mixed",
        "channels_last": True,
        "fused": True,
        "autotune": False,
        "compiled": False,
        "slices_per_epoch": 32,
        "first_epoch_seconds": first,
        "slices_per_second": {"p50": sorted(speeds)[1], "values": list(speeds), "n": 3},
        **choices,
    }


def training_line(*rows: dict[str, Any], kind: str = "supervised", **other: Any) -> dict[str, Any]:
    """A line of training.py: now, before, and what was tried."""
    return {
        "schema": "lungscore.training/1",
        "commit": "0123456789",
        "command": "python experiments/speed/training.py -o made-up.jsonl",
        "date": "2026-01-02",
        "host": HOST,
        "device": "cpu",
        "versions": {"torch": "2.11.0", "cuda": None},
        "seed": 0,
        "input": [192, 256],
        "kind": kind,
        "settings": list(rows),
        "parts": {"drawing": 5.25, "forward": 15.0},
        **other,
    }
