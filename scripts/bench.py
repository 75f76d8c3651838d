"""What the benchmarks share: contestants that take turns, the medians, and the table.

A contestant is a function (inputs) -> step. It imports its own library and not its rival's, lest
their threads get in each other's way: each of its turns is a new process that has all cores. (A
new one, because PyTorch's speed depends on where a process happens to get its memory.)
"""

import multiprocessing
import os
import platform
import subprocess
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pandas as pd

# Those that we may use, which macOS and Windows do not tell.
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
WARM_UP = 1.0  # seconds, and three steps at least
CPU_INFO = Path("/proc/cpuinfo")
# TensorFlow's distributions are named after what they bring: one of them is installed.
PACKAGES = (
    "keras",
    "tensorflow",
    "tensorflow_cpu",
    "torch",
    "torchvision",
    "keras-hub",
    "pycocotools",
    "pytorch-metric-learning",
    "faster-coco-eval",
    "scikit-learn",
    "numpy",
    "pillow",
)


def medians(contestants, inputs, rounds, seconds):
    """{name: seconds of a step} of contestants that take turns."""
    times = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            times[name].append(alone(turn, contestant, inputs, seconds))
    return {name: float(np.median(turns)) for name, turns in times.items()}


def alone(function, *arguments):
    """What the function returns in a process of its own."""
    spawn = multiprocessing.get_context("spawn")  # a fork would inherit libraries
    with ProcessPoolExecutor(1, spawn) as process:
        return process.submit(function, *arguments).result()


def turn(contestant, inputs, seconds):
    """The median time of a step, in seconds."""
    step = contestant(inputs=inputs)
    timed(step, WARM_UP)
    return float(np.median(timed(step, seconds)))


def timed(step, seconds):
    """The times of as many steps as these seconds hold, three at least."""
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return times


def rows(works, inputs, rounds, seconds):
    """The table's rows, of (work, precision, pictures of a step, {row: ours}, {variant: peer})."""
    for work, precision, pictures, ours, peers in works:
        step = medians(ours | peers, inputs, rounds, seconds)
        peer = min(peers, key=step.get)
        for name in ours:
            print(f"{work + name}, {precision}: {step[peer] / step[name]:.2f}", flush=True)
            yield {
                **{"work": work + name, "precision": precision},
                **{"ours ms": 1e3 * step[name], "peer ms": 1e3 * step[peer]},
                **{"ours per s": pictures / step[name], "peer per s": pictures / step[peer]},
                **{"ratio": step[peer] / step[name], "peer": peer},
            }


def report(rows, out, **facts):
    """Prints the table with the machine and the versions, and writes it to `out`, a .csv.

    If a contestant fails, the rows before it are still printed; `out` is left as it was.
    """
    facts, done = {**about(), **facts}, []
    print(*(f"{name}: {fact}" for name, fact in facts.items()), sep="\n")
    try:
        for row in rows:
            done.append(row)
    finally:
        table = pd.DataFrame(done)
        print(table.to_string(index=False, float_format="{:.4g}".format))
    if out:
        table.assign(**facts).to_csv(out, index=False, float_format="%.5g")


def about():
    """{"machine", "versions"}: of the packages that are installed."""
    versions = []
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            versions.append(f"{name} {version(name)}")
    return {"machine": f"{processor()}, {CORES} cores", "versions": ", ".join(versions)}


def processor():
    """The processor's name, as well as the system knows it."""
    if platform.system() == "Darwin":
        command = "sysctl", "-n", "machdep.cpu.brand_string"
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    lines = CPU_INFO.read_text().splitlines() if CPU_INFO.exists() else []
    names = [line.partition(":")[2] for line in lines if line.startswith("model name")]
    return names[0].strip() if names else platform.processor() or platform.machine()


def warn_if_busy():
    if hasattr(os, "getloadavg") and os.getloadavg()[0] > 0.5:
        # Its threads wait for each other by spinning, which TensorFlow's do not.
        print("The machine is busy, which slows PyTorch most; OMP_WAIT_POLICY=passive may help.")
