"""Prints the figures that the scenarios quote as measured, from recorded histories.

    python3 scenarios/measure_histories.py DATA

DATA holds `worlds/NAME/` (histories as docs/formats.md has them), `advisories/`,
`upstream/releases.csv`, `upstream/first_seen.csv` and `ci/`. Only the standard
library is used. Each line names what it counts; commits, releases, updates and
advisories count from 2022 on.
"""

import collections
import csv
import datetime
import json
import math
import pathlib
import statistics
import sys

DAY = 86_400
WEEK = 7 * DAY
SINCE = 1_640_995_200  # 2022-01-01
DEMAND = {"requests", "request_rate", "ingress_rate", "purchases"}


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def mean(values):
    return sum(values) / len(values)


def deviation(values):
    center = mean(values)
    return math.sqrt(sum((value - center) ** 2 for value in values) / len(values))


def is_weekend(day):
    """Of a day counted from 1970-01-01, a Thursday."""
    return (day + 3) % 7 >= 5


def day_of(text):
    return int(datetime.datetime.fromisoformat(text + "T00:00:00+00:00").timestamp()) // DAY


def gaps(times):
    return [after - before for before, after in zip(times, times[1:])]


def commits(world):
    """Of people, on all branches, by the time of the author."""
    table = [row for row in rows(world / "commits.csv") if row["bot"] != "1"]
    last = max(int(row["commit_epoch"]) for row in table)
    times = [int(row["author_epoch"]) for row in table]
    times = [at for at in times if SINCE <= at <= last]
    first, days = SINCE // DAY, last // DAY - SINCE // DAY
    counts = [0] * (days + 1)
    for at in times:
        counts[at // DAY - first] += 1
    weekdays = [counts[i] for i in range(days) if not is_weekend(first + i)]
    center, spread = mean(weekdays), deviation(weekdays) ** 2
    working = sum(not is_weekend(at // DAY) and 8 <= at % DAY // 3600 < 18 for at in times)
    print(
        f"  commits: {7 * len(times) / days:.1f} a week, weekdays' dispersion {spread / center:.1f}"
        f" (gamma shape {center * center / (spread - center):.1f}), in working hours UTC"
        f" {working / len(times):.2f}"
    )
    for year in (2022, 2023, 2024):
        start = day_of(f"{year}-12-24") - first
        usual = sum(counts[start - 42 : start - 14]) / 28
        if start + 23 < days and usual:
            print(
                f"    24 December {year} to 1 January over the four weeks that end two before:"
                f" {mean(counts[start : start + 9]) / usual:.2f}; the fortnight after:"
                f" {mean(counts[start + 9 : start + 23]) / usual:.2f}"
            )


def releases(world):
    """Versions of the product itself; those of one day count as one."""
    table = [
        (int(row["tag_epoch"]), row["kind"])
        for row in rows(world / "releases.csv")
        if row["kind"] in ("major", "minor", "patch") and not row["component"]
    ]
    table = sorted(row for row in table if row[0] >= SINCE)
    events = [table[0][0]]
    for at, _ in table:
        if at - events[-1] > DAY:
            events.append(at)
    between = [gap / DAY for gap in gaps(events)]
    thaws = [
        sum(events[i + 1] <= at < events[i + 1] + 14 * DAY for at in events)
        for i, gap in enumerate(between)
        if gap > 2.5 * mean(between)
    ]
    cv = deviation(between) / mean(between)
    print(
        f"  releases: every {mean(between):.1f} days, gamma shape {1 / cv**2:.1f}; in the fortnight"
        f" after a gap of 2.5 means {thaws}, usual {14 / mean(between):.1f}"
    )
    minors = [at for at, kind in table if kind == "minor"]
    if len(minors) > 9:
        fixed = sum(any(at < other <= at + 2 * DAY for other, _ in table) for at in minors)
        trains = [gap / DAY for gap in gaps(minors)]
        print(
            f"    minor versions: {len(minors)}, median gap {statistics.median(trains):.1f} days with"
            f" coefficient of variation {deviation(trains) / mean(trains):.2f}; followed within two"
            f" days {fixed / len(minors):.2f}"
        )


def dependencies(world):
    changes = [
        row
        for row in rows(world / "deps.csv")
        if row["change"] == "update" and int(row["epoch"]) >= SINCE
    ]
    by_commit = collections.Counter((row["epoch"], row["commit"]) for row in changes)
    weeks = (max(int(row["epoch"]) for row in changes) - SINCE) / WEEK
    sizes = sorted(by_commit.values())
    print(
        f"  updates: {len(by_commit) / weeks:.1f} commits a week, of {sizes[len(sizes) // 2]} packages"
        f" in the median, {sizes[int(0.9 * len(sizes))]} in one of ten"
    )
    exposed = [
        row
        for row in rows(world / "advisories.csv")
        if row["exposed_at_publish"] == "1" and int(row["publish_epoch"]) >= SINCE
    ]
    lags = [float(row["fix_lag_s"]) / DAY for row in exposed if row["fix_lag_s"]]
    if lags:
        print(
            f"  advisories that exposed it: {len(exposed) / weeks * 30 / 7:.2f} a month; median"
            f" lag of the fix {statistics.median(lags):.1f} days"
        )
    return {row["id"] for row in exposed if row["id"].startswith("GO-")}


def shared_advisories(by_world):
    counts = collections.Counter(name for names in by_world for name in names)
    shared = sum(count for count in counts.values() if count > 1)
    print(
        f"exposures of a Go repository by an advisory that exposed another one too: "
        f"{shared / sum(counts.values()):.2f} of {sum(counts.values())}"
    )


def advisory_database(data, ecosystem):
    days = collections.Counter(
        int(row["db_commit_epoch"]) // DAY
        for row in rows(data / "advisories" / f"{ecosystem}.csv")
        if row["db_commit_epoch"] and int(row["db_commit_epoch"]) >= SINCE
    )
    years = (max(days) - SINCE // DAY) / 365.25
    bulk = [count for count in days.values() if count > 20]
    print(
        f"advisories, {ecosystem}: {len(bulk) / years:.1f} bulk days a year carry"
        f" {sum(bulk) / sum(days.values()):.2f} of all, median {statistics.median(bulk):.0f}"
    )


def upstream(data):
    table = [row for row in rows(data / "upstream" / "releases.csv") if row["prerelease"] == "0"]
    for package in sorted({row["package"] for row in table}):
        days = sorted(
            {
                int(row["tag_epoch"]) // DAY
                for row in table
                if row["package"] == package and int(row["tag_epoch"]) >= 1_577_836_800
            }
        )
        between = [gap for gap in gaps(days) if gap > 1]
        print(
            f"upstream, {package} since 2020: {len(between) + 1} release days, median gap"
            f" {statistics.median(between):.0f} days, coefficient of variation"
            f" {deviation(between) / mean(between):.2f}"
        )
    seen = {
        (row["package"], row["version"].lstrip("v")): int(row["first_seen_epoch"])
        for row in rows(data / "upstream" / "first_seen.csv")
    }
    hours = [
        (seen[key] - int(row["tag_epoch"])) / 3600
        for row in table
        if (key := (row["package"], row["version"].lstrip("v"))) in seen
    ]
    hours = [lag for lag in hours if lag > 0]
    print(
        f"upstream, release to first use: median {statistics.median(hours):.0f} h, sigma of the log"
        f" {deviation([math.log(lag) for lag in hours]):.1f}, n {len(hours)}"
    )


def suites(data):
    by_suite = collections.defaultdict(list)
    for row in rows(data / "ci" / "pytorch_suites_2022_2023.csv"):
        by_suite[row["suite"]].append((int(row["epoch"]), float(row["duration_s"])))
    largest = sorted(by_suite.values(), key=len)[-12:]
    growth, steps, largest_step, noise = [], [], [], []
    for runs in largest:
        runs.sort()
        weeks = [(at - runs[0][0]) / WEEK for at, _ in runs]
        logs = [math.log(seconds) for _, seconds in runs]
        week, log = mean(weeks), mean(logs)
        slope = sum((x - week) * (y - log) for x, y in zip(weeks, logs))
        growth.append(slope / sum((x - week) ** 2 for x in weeks))
        level = [statistics.median(logs[max(0, i - 4) : i + 5]) for i in range(len(logs))]
        noise.append(deviation([x - y for x, y in zip(logs, level)]))
        jumps = [
            statistics.median(logs[i : i + 5]) - statistics.median(logs[i - 5 : i])
            for i in range(5, len(logs) - 4)
        ]
        up = [
            jump
            for i, jump in enumerate(jumps)
            if jump > math.log(1.15) and jump == max(jumps[max(0, i - 5) : i + 6])
        ]
        steps.append(len(up) / (weeks[-1] * 7 / 30))
        largest_step.append(math.exp(max(jumps)))
    print(
        f"suites, the 12 with most runs: growth a week {min(growth):.3f} to {max(growth):.3f} (median"
        f" {statistics.median(growth):.3f}), steps above 1.15 a month {min(steps):.2f} to {max(steps):.2f},"
        f" largest step {min(largest_step):.2f} to {max(largest_step):.2f}, noise"
        f" {statistics.median(noise):.2f}"
    )


def failures(name, sequences):
    """Each sequence holds the outcomes of one suite or test in the order of time."""
    pairs = [pair for outcomes in sequences for pair in zip(outcomes, outcomes[1:])]
    base = mean([after for _, after in pairs])
    again = mean([after for before, after in pairs if before])
    print(f"failures, {name}: P(fail) {base:.2f}, P(fail | fail) / P(fail) {again / base:.2f}")


def iofrol(data):
    by_test = collections.defaultdict(list)
    for row in rows(data / "ci" / "iofrol_tests.csv"):
        by_test[row["test"]].append((int(row["epoch"]), row["failed"] == "1"))
    failures("IOF/ROL tests", [[failed for _, failed in sorted(runs)] for runs in by_test.values()])


def suite_failures(world):
    by_suite = collections.defaultdict(list)
    for row in rows(world / "ci_runs.csv"):
        if row["failed"]:
            by_suite[row["suite"]].append((int(row["epoch"]), row["failed"] == "1"))
    if by_suite:
        sequences = [[failed for _, failed in sorted(runs)] for runs in by_suite.values()]
        failures(world.name, sequences)


def outages(data):
    table = sorted(
        rows(data / "ci" / "node_reliability_daily.csv"), key=lambda row: int(row["epoch"])
    )
    broken = [int(row["reason_jenkins"] or 0) + int(row["reason_git"] or 0) for row in table]
    usual = statistics.median(broken)
    lengths, length = [], 0
    for count in broken + [0]:
        if count > 3 * usual:
            length += 1
        elif length:
            lengths.append(length)
            length = 0
    print(
        f"outages, Node.js CI: {len(lengths)} stretches in {len(table)} days with more than 3 x the"
        f" usual {usual:.0f} failures of the infrastructure a day, lengths in days {lengths}"
    )


def demands(world):
    services = json.loads((world / "world.json").read_text())["services"]
    values = collections.defaultdict(list)
    for row in rows(world / "traffic.csv"):
        values[row["service"]].append((int(row["epoch"]), float(row["value"])))
    for service in services:
        if service["metric"] in DEMAND and service["step_s"] <= 3600:
            demand(service, sorted(values[service["service"]]))


def demand(service, values):
    """Against the median of the same hour of the week."""
    step = service["step_s"]
    days = (values[-1][0] - values[0][0]) / DAY
    hours = collections.defaultdict(list)
    for at, value in values:
        hours[(at // DAY + 3) % 7, at % DAY // 3600].append(value)
    usual = {hour: statistics.median(found) for hour, found in hours.items()}
    ratios = []
    for at, value in values:
        level = usual[(at // DAY + 3) % 7, at % DAY // 3600]
        if level > 0:
            ratios.append((at, value / level))
    line = f"  {service['service']}: {days:.0f} days of {step} s"
    lost = [(after - before - step) / 3600 for before, after in pairs_of(values) if after - before > 1.5 * step]
    if lost:
        line += f"; {len(lost) / days * 30:.1f} gaps a month, longest {max(lost):.1f} h"
    levels = weekly_levels(ratios, step)
    if len(levels) > 5:
        moves = gaps(levels)
        line += (
            f"; level a week: trend {(levels[-1] - levels[0]) / len(moves):+.3f},"
            f" steps {deviation(moves):.2f}"
        )
    print(line + bursts(ratios, step, days))


def pairs_of(values):
    times = [at for at, _ in values]
    return zip(times, times[1:])


def weekly_levels(ratios, step):
    weeks = collections.defaultdict(list)
    for at, ratio in ratios:
        weeks[at // WEEK].append(ratio)
    whole = [found for _, found in sorted(weeks.items()) if len(found) > 0.8 * WEEK / step]
    medians = [statistics.median(found) for found in whole]
    return [math.log(level) for level in medians if level > 0]


def bursts(ratios, step, days):
    """Quarters of an hour above twice the usual, and how soon half of the excess is gone."""
    quarter = max(step, 900)
    blocks = collections.defaultdict(list)
    for at, ratio in ratios:
        blocks[at // quarter].append(ratio)
    level = {block: mean(found) for block, found in blocks.items()}
    peaks, halves = [], []
    for block, height in sorted(level.items()):
        if height > 2 and level.get(block - 1, 0) <= 2:
            top = block
            while level.get(top + 1, 0) > level[top]:
                top += 1
            half = top
            while level.get(half, 0) - 1 > (level[top] - 1) / 2:
                half += 1
            peaks.append(level[top])
            halves.append((half - top) * quarter / 60)
    if not peaks:
        return "; no bursts"
    peaks.sort()
    return (
        f"; bursts above 2 x: {len(peaks) / days * 7:.1f} a week, median height"
        f" {statistics.median(peaks):.1f}, one of ten above {peaks[int(0.9 * len(peaks))]:.1f},"
        f" half gone in {statistics.median(halves):.0f} minutes"
    )


def shared_bursts(world):
    """How much more often two series are above twice their usual in one hour than by chance."""
    series = collections.defaultdict(lambda: collections.defaultdict(list))
    for row in rows(world / "traffic.csv"):
        if row["service"].startswith("mentions-"):
            series[row["service"]][int(row["epoch"]) // 3600].append(float(row["value"]))
    hot = {}
    for name, hourly in series.items():
        level = {hour: mean(found) for hour, found in hourly.items()}
        usual = collections.defaultdict(list)
        for hour, value in level.items():
            usual[(hour // 24 + 3) % 7, hour % 24].append(value)
        usual = {key: statistics.median(found) for key, found in usual.items()}
        hot[name] = {h for h, v in level.items() if v > 2 * usual[(h // 24 + 3) % 7, h % 24]}
    total = max(len(hourly) for hourly in series.values())
    names = sorted(hot)
    lifts = [
        len(hot[a] & hot[b]) * total / (len(hot[a]) * len(hot[b]))
        for i, a in enumerate(names)
        for b in names[i + 1 :]
    ]
    print(
        f"  hot hours shared by two of {len(names)} series over chance:"
        f" {min(lifts):.1f} to {max(lifts):.1f} times"
    )


def days_apart(world, service, named):
    """Whole days over the median of the same weekday in the four weeks before."""
    days = collections.defaultdict(list)
    for row in rows(world / "traffic.csv"):
        if row["service"] == service:
            days[int(row["orig_epoch"]) // DAY].append(float(row["value"]))
    full = max(len(found) for found in days.values())
    total = {day: sum(found) for day, found in days.items() if len(found) > 0.95 * full}
    for text in named:
        day = day_of(text)
        before = [total[day - 7 * k] for k in range(1, 5) if day - 7 * k in total]
        if day in total and before:
            print(f"  {service}, {text}: {total[day] / statistics.median(before):.2f} of the usual")


def main(data):
    exposures = []
    for world in sorted((data / "worlds").iterdir()):
        print(world.name)
        commits(world)
        releases(world)
        exposures.append(dependencies(world))
        suite_failures(world)
        demands(world)
        if world.name.startswith("w04"):
            shared_bursts(world)
        if world.name.startswith("w03"):
            holidays = ["2014-09-01", "2014-11-27", "2014-12-24", "2014-12-25", "2014-12-26"]
            days_apart(world, "taxi-demand", [*holidays, "2015-01-02", "2015-01-05"])
        if world.name.startswith("w01"):
            # Launch of STS-70, and the days around it.
            around = ["1995-07-12", "1995-07-13", "1995-07-14", "1995-07-15", "1995-07-16"]
            days_apart(world, "web-nasa", around)
    shared_advisories(exposures)
    advisory_database(data, "go")
    advisory_database(data, "rust")
    upstream(data)
    suites(data)
    iofrol(data)
    outages(data)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]))
