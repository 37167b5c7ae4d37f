"""Runs generated GitLab pipelines for real, in gitlab-ci-local's shell executor.

Every command of a pipeline becomes a script that writes down when it begins and ends, and fails
when its job is among those that are to fail. What ran, in which order and with which exit code must
be what the graph predicts (`expected.json`).
"""

import json
import re
import subprocess

import yaml

# A needs cycle would make gitlab-ci-local spin and ignore SIGTERM, hence --kill-after.
SECONDS_MAX = 180

SCRIPT = """#!/bin/sh
echo "begin $CI_JOB_NAME" >> "$TRACE"
for name in $FAILING; do [ "${CI_JOB_NAME%%:*}" = "$name" ] && exit 1; done
echo "end $CI_JOB_NAME" >> "$TRACE"
"""


def execute(pipelines, folder):
    """Runs each pipeline; whether all did as predicted."""
    differences = planted = jobs = 0
    for pipeline in pipelines:
        expected = json.loads((pipeline / "expected.json").read_text())
        problem = run_one(pipeline, expected, folder / pipeline.name)
        planted += bool(expected["failed"])
        jobs += len(expected["succeeded"]) + len(expected["failed"])
        if problem:
            differences += 1
            print(f"{pipeline.name}: {problem}", flush=True)
    good = len(pipelines) - differences
    print(
        f"gitlab: {good} of {len(pipelines)} runs as predicted, {jobs} stages ran, "
        f"{planted} runs with a planted failure",
        flush=True,
    )
    return differences == 0


def run_one(pipeline, expected, repository):
    """Runs one pipeline; returns what differs from the prediction."""
    repository.mkdir(parents=True)
    trace = repository.parent / f"{repository.name}.trace"
    text = without_images((pipeline / ".gitlab-ci.yml").read_text())
    (repository / ".gitlab-ci.yml").write_text(text)
    for command in set(re.findall(r"\./ci/[a-z-]+\.sh", text)):
        path = repository / command
        path.parent.mkdir(exist_ok=True)
        path.write_text(SCRIPT)
        path.chmod(0o755)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", "-C", repository]
    for arguments in [
        ["init", "--quiet", "--initial-branch", expected["branch"]],
        ["remote", "add", "origin", "https://git.example.com/group/project.git"],
        ["add", "--all"],
        ["commit", "--quiet", "--message", "pipeline"],
    ]:
        subprocess.run([*git, *arguments], check=True)
    result = subprocess.run(
        ["timeout", "--kill-after=2", str(SECONDS_MAX), "gitlab-ci-local", "--force-shell-executor",
         "--shell-isolation=false", "--variable", f"TRACE={trace}",
         "--variable", f"FAILING={' '.join(expected['failing'])}"],
        cwd=repository, capture_output=True, text=True,
    )
    lines = trace.read_text().splitlines() if trace.exists() else []
    return difference(lines, result, expected)


def without_images(text):
    """The file without the images of its jobs: only the shell executor runs here, and an image asks
    for containers. Found by parsing, because a long image is folded over several lines; the rest of
    the file stays as the driver wrote it."""
    lines = text.splitlines(keepends=True)
    dropped = set()
    for _, job in yaml.compose(text, Loader=yaml.SafeLoader).value:
        if isinstance(job, yaml.MappingNode):
            for key, value in job.value:
                if key.value == "image":
                    # A block scalar ends at the start of the line behind it.
                    end = value.end_mark.line + (value.end_mark.column > 0)
                    dropped.update(range(key.start_mark.line, end))
    kept = "".join(line for number, line in enumerate(lines) if number not in dropped)
    before, after = (yaml.safe_load(version) for version in (text, kept))
    for job in before.values():
        if isinstance(job, dict):
            job.pop("image", None)
    assert before == after, "more than the images went"
    return kept


def difference(lines, result, expected):
    """A job of N shards shows N times, as `name: [1/N]`."""
    begun, ended = {}, {}
    for place, line in enumerate(lines):
        word, job = line.split(":")[0].split(" ")
        (begun if word == "begin" else ended).setdefault(job, []).append(place)
    output = f"\n{result.stdout[-600:]}{result.stderr[-600:]}"
    ran = set(expected["succeeded"]) | set(expected["failed"])
    if set(begun) != ran:
        return f"ran {sorted(set(begun) ^ ran)} against the prediction{output}"
    if set(ended) & set(expected["failed"]):
        return f"{expected['failed']} did not fail"
    for job in ran:
        for need in expected["needs"][job]:
            if need in ended and max(ended[need]) > min(begun[job]):
                return f"{job} began before {need} ended"
    failed = result.returncode != 0
    if failed != bool(expected["failed"]):
        return f"exit code {result.returncode}, failed stages {expected['failed']}{output}"
    return None
