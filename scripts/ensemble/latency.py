"""How long predictions take: two functions measured in turns, so that a busy machine is as unkind to both."""

import gc
import time

import numpy as np

BATCHES = (1, 256)
REPETITIONS = 1000  # at most
SECONDS = 2.0  # for each batch size
WARM_UP = 10


def compare(functions, x):
    """``{batch: {"repetitions", name: {"p50_ms", "p95_ms"}}}`` for functions by name, on batches of rows of ``x``.

    Every repetition takes other rows. For a size that ``x`` has no rows for, rows come again.
    """
    return {str(size): _compare(functions, _batches(x, size)) for size in BATCHES}


def _compare(functions, batches):
    for function in functions.values():
        for number in range(WARM_UP):
            function(batches[number % len(batches)])
    times, end = {name: [] for name in functions}, time.perf_counter() + SECONDS
    collecting = gc.isenabled()
    gc.disable()  # a collection would count for whoever is running
    try:
        while len(times[next(iter(times))]) < REPETITIONS and time.perf_counter() < end:
            for name, function in functions.items():
                batch = batches[len(times[name]) % len(batches)]
                begin = time.perf_counter()
                function(batch)
                times[name].append(time.perf_counter() - begin)
    finally:
        if collecting:
            gc.enable()
    repetitions = {len(each) for each in times.values()}
    return {"repetitions": repetitions.pop()} | {name: _percentiles(each) for name, each in times.items()}


def _batches(x, size, count=50):
    """``count`` batches of ``size`` rows, spread over ``x``."""
    starts = np.linspace(0, len(x) - 1, count).astype(int)
    return [np.ascontiguousarray(x[(start + np.arange(size)) % len(x)]) for start in starts]


def _percentiles(seconds):
    middle, late = np.percentile(np.array(seconds) * 1000, [50, 95])
    return {"p50_ms": round(float(middle), 4), "p95_ms": round(float(late), 4)}
