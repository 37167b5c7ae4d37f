#!/usr/bin/env python3
"""Prints what each scenario family costs under four arms with default knobs.

    python3 scenarios/count_costs.py PRESTAGE [NAME...]

PRESTAGE is the built binary. Means over seeds 1 to 4, US dollars of the whole
episode, in the order never / reactive / newsvendor / always; then the needs of
newsvendor and how many of them it met. These are the costs of docs/scenarios.md.
"""

import json
import subprocess
import sys

ARMS = ["never", "reactive", "newsvendor", "always"]
SEEDS = range(1, 5)
FAMILIES = [
    "demo", "calm-weekly", "holiday-and-return", "product-launch", "flash-burst",
    "incident-retry-storm", "correlated-burst", "slow-growth", "post-upgrade-drift",
    "release-freeze-and-thaw", "advisory-storm", "upstream-train", "test-explosion",
    "runner-outage", "telemetry-gap", "stationary", "poisson", "induced-demand",
]


def total(binary, family, arm, seed):
    command = [binary, "simulate", family, "--arm", arm, "--seed", str(seed), "--format", "json"]
    rows = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return next(row for row in rows if row["need"] == "all")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    binary, names = sys.argv[1], sys.argv[2:] or FAMILIES
    for family in names:
        rows = {arm: [total(binary, family, arm, seed) for seed in SEEDS] for arm in ARMS}
        costs = " / ".join(
            f"{sum(row['cost_usd'] for row in rows[arm]) / len(SEEDS):,.0f}" for arm in ARMS
        )
        needs, hits, slo, idle = (
            sum(row[key] for row in rows["newsvendor"]) / len(SEEDS)
            for key in ("needs", "hits", "slo_violation_minutes", "over_provision_hours")
        )
        print(f"{family}: {costs} $; {needs:.0f} needs, {hits:.0f} met; {slo:.0f} SLO minutes, {idle:.0f} idle hours")


if __name__ == "__main__":
    main()
