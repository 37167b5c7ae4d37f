#!/usr/bin/env python3
"""Conformance of generated pipelines with the tools of their targets.

    tests/conformance/run.py --tools DIR [--install] [--count 1000] [--execute 50] [--seed 1]

Generates pipelines with the example `corpus`, hands every file to the linters of its target and
runs some of the GitLab pipelines for real, with planted failures, in gitlab-ci-local's shell
executor. Observed order, outcomes and exit code must be what the graph predicts.

--install puts into DIR (about 500 MB), from PyPI: jactionlint, zizmor, check-jsonschema; from npm:
node, gitlab-ci-local, @ibm/tekton-lint, @kubernetes-models/argo-workflows, yaml. rsync must be
there already. A tool that is missing is skipped and said so; exit code 1 is a finding.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PYPI = ["jactionlint==2.3.0", "zizmor==1.32.0", "check-jsonschema==0.39.0"]
NPM = [
    "node@22",
    "gitlab-ci-local@4.75.1",
    "@ibm/tekton-lint@1.1.0",
    "@kubernetes-models/argo-workflows@2.0.0",
    "yaml@2",
]
ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
# A needs cycle would make gitlab-ci-local spin and ignore SIGTERM, hence --kill-after.
SECONDS_MAX = 120


def main():
    options = parse_arguments()
    tools = options.tools.resolve()
    if options.install:
        install(tools)
    os.environ["PATH"] = f"{tools}/venv/bin:{tools}/npm/node_modules/.bin:{os.environ['PATH']}"
    with tempfile.TemporaryDirectory() as folder:
        corpus = options.corpus or generate(Path(folder) / "corpus", options)
        pipelines = sorted(path for path in corpus.iterdir() if path.is_dir())
        results = [lint(check, pipelines, tools) for check in CHECKS]
        results.append(execute(pipelines, options.execute, Path(folder)))
    sys.exit(0 if all(results) else 1)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tools", type=Path, required=True)
    parser.add_argument("--install", action="store_true")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--execute", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, help="a corpus made before")
    return parser.parse_args()


def install(tools):
    run(["python3", "-m", "venv", f"{tools}/venv"], check=True)
    run([f"{tools}/venv/bin/pip", "install", "--quiet", *PYPI], check=True)
    run(["npm", "install", "--no-fund", "--no-audit", "--prefix", f"{tools}/npm", *NPM], check=True)


def run(command, **options):
    return subprocess.run(command, text=True, **options)


def generate(folder, options):
    command = ["cargo", "run", "--quiet", "-p", "prestage-lpt", "--example", "corpus", "--"]
    run([*command, folder, str(options.count), str(options.seed)], cwd=ROOT, check=True)
    return folder


def found(tool):
    if run(["which", tool], capture_output=True).returncode == 0:
        return True
    print(f"skipped: {tool} is not there; --install puts it into --tools")
    return False


# Name, tool, files of a pipeline, command before the files.
CHECKS = [
    ("github: jactionlint", "jactionlint", ".github/workflows/*.yml", ["jactionlint", "--shellcheck="]),
    ("github: zizmor", "zizmor", ".github/workflows/*.yml", ["zizmor", "--offline", "--quiet"]),
    ("github: schema", "check-jsonschema", ".github/workflows/*.yml",
     ["check-jsonschema", "--builtin-schema", "vendor.github-workflows"]),
    ("gitlab: schema", "check-jsonschema", ".gitlab-ci.yml",
     ["check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"]),
    ("tekton: tekton-lint", "tekton-lint", "tekton/*/*.yaml", ["tekton-lint", "--quiet"]),
    ("argo: strict types", "node", "argo/*.yaml", ["node", HERE / "argo.mjs"]),
]


def lint(check, pipelines, tools):
    name, tool, pattern, command = check
    if not found(tool):
        return True
    if name.startswith("argo"):
        command = [*command, tools]
    batch = 100
    findings = files = 0
    for start in range(0, len(pipelines), batch):
        paths = [path for pipeline in pipelines[start:start + batch] for path in sorted(pipeline.glob(pattern))]
        files += len(paths)
        result = run([*command, *paths], capture_output=True)
        if result.returncode != 0:
            findings += 1
            print("\n".join((result.stdout + result.stderr).splitlines()[:20]))
    print(f"{name}: {files} files of {len(pipelines)} pipelines, {'clean' if findings == 0 else 'FINDINGS'}")
    return findings == 0


SCRIPT = """#!/bin/sh
echo "begin $CI_JOB_NAME" >> "$TRACE"
for name in $FAILING; do [ "${CI_JOB_NAME%%:*}" = "$name" ] && exit 1; done
echo "end $CI_JOB_NAME" >> "$TRACE"
"""


def execute(pipelines, count, folder):
    if count == 0 or not (found("gitlab-ci-local") and found("rsync") and found("git")):
        return True
    good = differences = 0
    planted = 0
    for pipeline in pipelines[:count]:
        expected = json.loads((pipeline / "expected.json").read_text())
        problem = run_one(pipeline, expected, folder / "run" / pipeline.name)
        planted += bool(expected["failed"])
        if problem:
            differences += 1
            print(f"{pipeline.name}: {problem}")
        else:
            good += 1
    print(f"gitlab: {good} of {good + differences} runs as predicted, {planted} with a planted failure")
    return differences == 0


def run_one(pipeline, expected, repository):
    """Runs one pipeline; returns what differs from the prediction."""
    repository.mkdir(parents=True)
    trace = repository.parent / f"{repository.name}.trace"
    text = (pipeline / ".gitlab-ci.yml").read_text()
    # Only the shell executor runs here: an image would ask for containers.
    text = re.sub(r"^  image: .*\n", "", text, flags=re.MULTILINE)
    (repository / ".gitlab-ci.yml").write_text(text)
    for command in set(re.findall(r"\./ci/[a-z-]+\.sh", text)):
        path = repository / command
        path.parent.mkdir(exist_ok=True)
        path.write_text(SCRIPT)
        path.chmod(0o755)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", "-C", repository]
    run([*git, "init", "--quiet", "--initial-branch", expected["branch"]], check=True)
    run([*git, "remote", "add", "origin", "https://git.example.com/group/project.git"], check=True)
    run([*git, "add", "--all"], check=True)
    run([*git, "commit", "--quiet", "--message", "pipeline"], check=True)
    result = run(
        ["timeout", "--kill-after=2", str(SECONDS_MAX), "gitlab-ci-local", "--force-shell-executor",
         "--shell-isolation=false", "--variable", f"TRACE={trace}",
         "--variable", f"FAILING={' '.join(expected['failing'])}"],
        cwd=repository, capture_output=True,
    )
    lines = trace.read_text().splitlines() if trace.exists() else []
    return difference(lines, result, expected)


def difference(lines, result, expected):
    """A job of N shards shows N times, as `name: [1/N]`."""
    begun, ended = {}, {}
    for place, line in enumerate(lines):
        word, job = line.split(":")[0].split(" ")
        (begun if word == "begin" else ended).setdefault(job, []).append(place)
    ran = set(expected["succeeded"]) | set(expected["failed"])
    if set(begun) != ran:
        return f"ran {sorted(set(begun) ^ ran)} against the prediction\n{result.stdout[-600:]}{result.stderr[-600:]}"
    if set(ended) & set(expected["failed"]):
        return f"{expected['failed']} did not fail"
    for job in ran:
        for need in expected["needs"][job]:
            if need in ended and max(ended[need]) > min(begun[job]):
                return f"{job} began before {need} ended"
    failed = result.returncode != 0
    if failed != bool(expected["failed"]):
        return f"exit code {result.returncode}, failed stages {expected['failed']}"
    return None


if __name__ == "__main__":
    main()
