#!/usr/bin/env python3
"""Compares queries of prestage-store with DuckDB and Polars on the same Parquet files: CPU time, and the numbers.

    cargo build --release -p prestage-store --example fill
    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install duckdb polars
    /tmp/venv/bin/python scripts/compare_duckdb.py target/release/examples/fill /tmp/store 20000000

The store is made if it is absent, and the CPU time of that is the speed of ingest. Every program uses one thread;
they take turns, so that what else the machine does meets all of them; the median CPU time of all rounds counts.
Exits with 1 when a mean or percentile differs by more than 1e-9 of itself, a percentile from sketches by more than
the promised 1 %, or ours takes more than 1.5 times DuckDB's time.
"""
import math
import os
import subprocess
import sys
import time
from statistics import median

os.environ["POLARS_MAX_THREADS"] = "1"

import duckdb  # noqa: E402
import polars  # noqa: E402

LIMIT = 1.5
ROUNDS = 7
TOLERANCE = 1e-9
SKETCH_ERROR = 0.01
DAY = 86_400
BEGIN = 1_704_067_200 + 100 * DAY + 6 * 3_600


class Prestage:
    """A process that answers questions by name, and says what each took."""

    def __init__(self, program, store):
        command = [program, store, "ask"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, name):
        print(name, file=self.process.stdin, flush=True)
        _, seconds, rows = self.process.stdout.readline().split()
        lines = [self.process.stdout.readline().split() for _ in range(int(rows))]
        return float(seconds), [[float(field) for field in line[1:]] for line in lines]


class DuckDb:
    """The same questions in SQL."""

    def __init__(self, files):
        self.connection = duckdb.connect(config={"threads": 1})
        self.connection.execute("SET TimeZone = 'UTC'")
        # With the partition column, which a user of the files would add: otherwise every file is opened.
        where = (f"WHERE time >= to_timestamp({BEGIN}) AND time < to_timestamp({BEGIN + DAY}) "
                 "AND day BETWEEN '2024-04-10' AND '2024-04-11'")
        self.queries = {
            "rollup": self.query(files, "5 MINUTE", "avg(value), quantile_cont(value, 0.95)", ""),
            "window": self.query(files, "5 MINUTE", "avg(value), quantile_cont(value, 0.95)", where),
            "sketch": self.query(files, "1 DAY", "quantile_disc(value, 0.95)", ""),
        }

    @staticmethod
    def query(files, bucket, values, where):
        return (f"SELECT time_bucket(INTERVAL {bucket}, time) AS bucket, {values} "
                f"FROM read_parquet('{files}', hive_partitioning = true) {where} GROUP BY bucket ORDER BY bucket")

    def ask(self, name):
        begin = time.process_time()
        rows = self.connection.execute(self.queries[name]).fetchall()
        return time.process_time() - begin, [list(row[1:]) for row in rows]


class Polars:
    """The same questions as lazy frames."""

    def __init__(self, files):
        self.files = files

    def ask(self, name):
        begin = time.process_time()
        frame = polars.scan_parquet(self.files, hive_partitioning=True)
        if name == "window":
            edge = [polars.from_epoch(polars.lit(at)).dt.replace_time_zone("UTC") for at in (BEGIN, BEGIN + DAY)]
            frame = frame.filter(polars.col("time").is_between(*edge, closed="left"))
        p95 = polars.col("value").quantile(0.95, interpolation="linear").alias("p95")
        rows = (frame.group_by(polars.col("time").dt.truncate("5m"))
                .agg(polars.col("value").mean().alias("mean"), p95).sort("time").collect())
        return time.process_time() - begin, list(zip(rows["mean"], rows["p95"]))


def largest_difference(ours, theirs):
    """The largest relative difference of two answers; infinite when they have not the same rows."""
    if len(ours) != len(theirs) or not ours:
        return math.inf
    pairs = ((a, b) for one, two in zip(ours, theirs) for a, b in zip(one, two))
    return max(abs(a - b) / max(abs(a), abs(b), 1e-300) for a, b in pairs)


def main():
    program, store, rows = sys.argv[1:4]
    if not os.path.exists(os.path.join(store, "store.json")):
        subprocess.run([program, store, rows], check=True)
    files = os.path.join(store, "raw", "*", "metric=requests_per_second", "*.parquet")
    prestage, duck = Prestage(program, store), DuckDb(files)
    others = {f"DuckDB {duckdb.__version__}": duck, f"Polars {polars.__version__}": Polars(files)}
    failed = False
    for name in ("rollup", "window"):
        ours, theirs, differences = [], {who: [] for who in others}, {}
        for _ in range(ROUNDS):
            seconds, answer = prestage.ask(name)
            ours.append(seconds)
            for who, other in others.items():
                seconds, rows = other.ask(name)
                theirs[who].append(seconds)
                differences[who] = largest_difference(answer, rows)
                failed |= differences[who] > TOLERANCE
        print(f"{name}: {len(answer)} buckets, prestage {median(ours):.4f} CPU s (least {min(ours):.4f})")
        for who, times in theirs.items():
            ratio = median(ours) / median(times)
            failed |= who.startswith("DuckDB") and ratio > LIMIT
            print(f"  {who}: {median(times):.4f} (least {min(times):.4f}), ratio {ratio:.3f}, "
                  f"largest relative difference {differences[who]:.1e}")
    difference = largest_difference(prestage.ask("sketch")[1], duck.ask("sketch")[1])
    failed |= difference > SKETCH_ERROR
    print(f"sketch: p95 of each day is off by {100 * difference:.3f} % at most (promised: 1 %)")
    sys.exit(failed)


if __name__ == "__main__":
    main()
