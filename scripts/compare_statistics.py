#!/usr/bin/env python3
"""The statistics of an experiment, computed again by scipy and rliable.

    python3 scripts/compare_statistics.py RUNS

RUNS is a folder of `prestage run EXPERIMENT --out RUNS`. Compared with its `ladder.csv` and `overall.csv`:
interquartile mean, optimality gap, performance profile and probability of improvement (rliable, to rounding),
p by sign flips (scipy's permutation test; exact up to 13 scenarios), bootstrap intervals of the saved share and
Holm's correction (scipy and its definition). Exit code 1 when something differs.

scipy and rliable are installed into a temporary environment when the running Python lacks them; where neither is
possible the comparison is skipped with the reason.
"""
import csv
import importlib.util
import os
import subprocess
import sys
import tempfile
import venv
from collections import defaultdict
from pathlib import Path

PROFILE_AT = [1 / 1.2, 1.0, 1 / 0.98]
# Both sides draw 10,000 resamples: a bound then moves by about 1 % of the interval's width.
WIDTH_TOLERANCE = 0.05


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    runs = Path(sys.argv[1])
    for name in ("ladder.csv", "overall.csv", "headroom.csv"):
        if not (runs / name).exists():
            sys.exit(f"`{runs / name}` does not exist\n\nhint: give the --out folder of `prestage run`")
    if any(importlib.util.find_spec(name) is None for name in ("scipy", "rliable")):
        with_packages()
    import warnings

    warnings.filterwarnings("ignore")
    costs = {family: costs_of(runs / family) for family in families(runs)}
    fixed = {row["family"]: row["static_arm"] for row in rows(runs / "headroom.csv")}
    problems = overall(runs, costs, fixed) + pairs(runs, costs, fixed) + holm(runs)
    for problem in problems:
        print(f"differs: {problem}")
    sys.exit(1 if problems else 0)


def with_packages():
    """Runs this script again where the packages are."""
    if os.environ.get("PRESTAGE_COMPARE") == "1":
        sys.exit("scipy and rliable were installed and cannot be imported")
    with tempfile.TemporaryDirectory() as folder:
        try:
            venv.create(folder, with_pip=True)
            python = Path(folder) / "bin" / "python"
            # arch, which rliable imports, does not load with pandas 3.
            install = [python, "-m", "pip", "install", "--quiet", "scipy", "rliable", "pandas<3"]
            subprocess.run(install, check=True)
        except (subprocess.CalledProcessError, OSError) as error:
            print(f"skipped: scipy and rliable cannot be installed here ({error})")
            sys.exit(0)
        again = subprocess.run([python, *sys.argv], env={**os.environ, "PRESTAGE_COMPARE": "1"})
        sys.exit(again.returncode)


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def families(runs):
    return list(dict.fromkeys(row["family"] for row in rows(runs / "ladder.csv")))


def costs_of(run):
    """Dollars by arm, then scenario seed; a mean over training seeds."""
    sums = defaultdict(lambda: defaultdict(lambda: defaultdict(float)))
    for row in rows(run / "results.csv"):
        sums[row["arm"]][int(row["scenario_seed"])][row["train_seed"]] += float(row["cost_usd"])
    mean = lambda of_seed: sum(of_seed.values()) / len(of_seed)
    return {arm: [mean(seeds[s]) for s in sorted(seeds)] for arm, seeds in sums.items()}


def overall(runs, costs, fixed):
    """rliable's aggregates over (scenario x family) scores, static cost over own cost."""
    import numpy as np
    from rliable import library, metrics

    problems = []
    count = 0
    for row in rows(runs / "overall.csv"):
        arm = row["arm"]
        score = lambda family: np.array(costs[family][fixed[family]]) / np.array(costs[family][arm])
        scores = np.stack([score(family) for family in costs], axis=1)
        gains = lambda name: np.stack([-np.array(costs[f][name(f)]) for f in costs], axis=1)
        profile, _ = library.create_performance_profile({arm: scores}, np.array(PROFILE_AT), reps=2)
        improvement = metrics.probability_of_improvement(gains(lambda _: arm), gains(lambda f: fixed[f]))
        expected = {
            "score_iqm": metrics.aggregate_iqm(scores),
            "optimality_gap": metrics.aggregate_optimality_gap(scores, 1.0),
            "share_within_a_fifth": profile[arm][0],
            "share_cheaper": profile[arm][1],
            "share_cheaper_by_2_percent": profile[arm][2],
            "probability_of_improvement": improvement,
        }
        for key, value in expected.items():
            count += 1
            if abs(float(row[key]) - float(value)) > 1e-9:
                problems.append(f"{arm}: {key} is {row[key]}, rliable says {float(value)}")
    print(f"rliable: {count} aggregates of {len(rows(runs / 'overall.csv'))} arms compared")
    return problems


def pairs(runs, costs, fixed):
    """p and intervals of every arm against the static one of its family."""
    import numpy as np
    from scipy import stats

    problems, tested, bounded = [], 0, 0
    for row in rows(runs / "ladder.csv"):
        family, arm = row["family"], row["arm"]
        if not row["p_value"] or arm not in costs[family]:
            continue  # The static arm itself, or the bound, which is no arm.
        reference, own = np.array(costs[family][fixed[family]]), np.array(costs[family][arm])
        difference = own - reference
        test = stats.permutation_test(
            (difference,), np.mean, permutation_type="samples", n_resamples=10_000, rng=1
        )
        tested += 1
        exact = len(difference) <= 13
        noise = 1e-12 if exact else 4 * (test.pvalue * (1 - test.pvalue) / 10_000) ** 0.5 + 2e-4
        if abs(float(row["p_value"]) - test.pvalue) > noise:
            problems.append(f"{family}, {arm}: p is {row['p_value']}, scipy says {test.pvalue}")
        bounded += 1
        problems += interval(row, reference, own)
    print(f"scipy: {tested} p-values and {bounded} intervals compared")
    return problems


def interval(row, reference, own):
    import numpy as np
    from scipy import stats

    if np.all(reference == own):
        is_zero = float(row["saved_low"]) == float(row["saved_high"]) == 0.0
        return [] if is_zero else [f"{row['family']}, {row['arm']}: equal costs, but a saving"]
    share = lambda fixed, cost, axis: 1 - np.mean(cost, axis=axis) / np.mean(fixed, axis=axis)
    found = stats.bootstrap(
        (reference, own), share, paired=True, vectorized=True, method="percentile", n_resamples=10_000, rng=1
    ).confidence_interval
    slack = WIDTH_TOLERANCE * (found.high - found.low) + 1e-12
    return [
        f"{row['family']}, {row['arm']}: {key} is {row[key]}, scipy says {value}"
        for key, value in (("saved_low", found.low), ("saved_high", found.high))
        if abs(float(row[key]) - value) > slack
    ]


def holm(runs):
    """Step-down by its definition: the i-th smallest of n times (n - i), never below the one before."""
    table = [row for row in rows(runs / "ladder.csv") if row["p_value"]]
    order = sorted(range(len(table)), key=lambda i: float(table[i]["p_value"]))
    worst, problems = 0.0, []
    for rank, index in enumerate(order):
        row = table[index]
        worst = max(worst, min(1.0, float(row["p_value"]) * (len(table) - rank)))
        if abs(float(row["p_holm"]) - worst) > 1e-12:
            problems.append(f"{row['family']}, {row['arm']}: p_holm is {row['p_holm']}, not {worst}")
    print(f"Holm: {len(table)} corrected p-values compared")
    return problems


if __name__ == "__main__":
    main()
