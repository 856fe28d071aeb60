"""Compares many random networks with their C: `python -m tests.codegen.many --networks 200`."""

import argparse
import concurrent.futures
import tempfile
import time
from pathlib import Path

from .compilers import VARIANTS, Built, assert_same
from .networks import FAMILIES


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=200, help="of each family")
    parser.add_argument("--workers", type=int, default=2, help="compilers at once")
    args = parser.parse_args()
    for family, (make, simulate) in FAMILIES.items():
        start, spikes = time.perf_counter(), 0
        with concurrent.futures.ThreadPoolExecutor(args.workers) as pool:
            for seed in range(args.networks):
                spec, raster = make(seed)
                trace = simulate(spec, raster)
                spikes += int(trace.spikes_out.sum())
                with tempfile.TemporaryDirectory() as folder:
                    built = Built(spec, Path(folder))
                    for found in pool.map(lambda v, b=built, r=raster: b.run(v, r), VARIANTS):
                        assert_same(spec, trace, found)
        print(
            f"{family}: {args.networks} networks, {len(VARIANTS)} ways to compile each, "
            f"{spikes} output spikes and all states equal, in {time.perf_counter() - start:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
