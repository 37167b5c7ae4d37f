#!/usr/bin/env python3
"""Compares the scan of prestage-store with DuckDB on the same Parquet files, and checks that DuckDB and Polars
read the files and agree on the numbers.

    cargo build --release -p prestage-store --example fill
    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install duckdb polars
    /tmp/venv/bin/python scripts/compare_duckdb.py target/release/examples/fill /tmp/store 20000000

The store is made if it is absent. DuckDB runs on one thread, as our scan does, and on all. Each time is the
best of five, in a warm page cache. Exits with 1 when numbers differ or ours is slower than 1.5 times DuckDB
on one thread.
"""
import math
import os
import subprocess
import sys
import time

import duckdb
import polars

START = 1_704_067_200
LIMIT = 1.5


def best(function, repetitions=5):
    times = []
    for _ in range(repetitions):
        begin = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - begin)
    return min(times), result


def main():
    fill, store, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if not os.path.exists(os.path.join(store, "store.json")):
        subprocess.run([fill, store, str(rows)], check=True)
    files = os.path.join(store, "raw", "*", "metric=requests_per_second", "*.parquet")
    select = f"""
        SELECT time_bucket(INTERVAL 5 MINUTE, time) AS bucket, avg(value) AS mean,
               quantile_cont(value, 0.95) AS p95
        FROM read_parquet('{files}', hive_partitioning = true)"""
    end = " GROUP BY bucket ORDER BY bucket"
    begin = START + 100 * 86_400 + 6 * 3_600
    where = f" WHERE time >= to_timestamp({begin}) AND time < to_timestamp({begin + 86_400})"
    # With the partition column, which a user of the files would add: otherwise every file is opened.
    where += " AND day BETWEEN '2024-04-10' AND '2024-04-11'"
    queries = {"rollup": select + end, "window": select + where + end}
    ours, rows_of = {}, {"rollup": [], "window": []}
    for line in subprocess.run([fill, store, "0", "ask"], check=True, capture_output=True, text=True).stdout.splitlines():
        name, *fields = line.split()
        if len(fields) == 2:
            ours[name] = float(fields[0])
        else:
            rows_of[name].append((float(fields[1]), float(fields[2])))
    failed = False
    answers = {}
    for name, query in queries.items():
        for threads in (1, os.cpu_count()):
            connection = duckdb.connect(config={"threads": threads})
            connection.execute("SET TimeZone = 'UTC'")
            seconds, answer = best(lambda: connection.execute(query).fetchall())
            ratio = ours[name] / seconds
            print(f"{name}: prestage {ours[name]:.4f} s, DuckDB {duckdb.__version__} on {threads} "
                  f"thread(s) {seconds:.4f} s, ratio {ratio:.2f}")
            failed |= threads == 1 and ratio > LIMIT
            answers[name] = answer
    window = (begin, begin + 86_400)
    frame = (
        polars.scan_parquet(files, hive_partitioning=True)
        .filter(polars.col("time").is_between(polars.from_epoch(polars.lit(window[0])).dt.replace_time_zone("UTC"),
                                              polars.from_epoch(polars.lit(window[1])).dt.replace_time_zone("UTC"),
                                              closed="left"))
        .group_by(polars.col("time").dt.truncate("5m"))
        .agg(polars.col("value").mean().alias("mean"),
             polars.col("value").quantile(0.95, interpolation="linear").alias("p95"))
        .sort("time").collect())
    by_polars = list(zip(frame["mean"], frame["p95"]))
    compared = [("Polars", "window", by_polars)]
    compared += [("DuckDB", name, [(row[1], row[2]) for row in answer]) for name, answer in answers.items()]
    for who, name, other in compared:
        same = len(other) == len(rows_of[name]) and all(
            math.isclose(a, b, rel_tol=1e-9) for one, two in zip(rows_of[name], other) for a, b in zip(one, two))
        print(f"{who} agrees on {len(other)} buckets of the {name}: {same}")
        failed |= not same
    sys.exit(failed)


if __name__ == "__main__":
    main()
