#!/usr/bin/env python3
"""Conformance of generated pipelines with the tools of their targets.

    tests/conformance/run.py --tools DIR [--install] [--count 1000] [--execute 50] [--seed 1]

Generates pipelines with the example `corpus`, hands every file to the linters of its target and
runs some of the GitLab pipelines for real, with planted failures, in gitlab-ci-local's shell
executor. Observed order, outcomes and exit code must be what the graph predicts.

--install puts into DIR (about 600 MB), from PyPI: jactionlint, zizmor, check-jsonschema, hera, jsonschema-rs,
PyYAML; from npm: node, gitlab-ci-local, @ibm/tekton-lint, @kubernetes-models/argo-workflows, yaml.
git and rsync must be there already. What cannot be installed or is not there is skipped and said
so; exit code 1 is a finding.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PYPI = [
    "jactionlint==2.3.0",
    "zizmor==1.32.0",
    "check-jsonschema==0.39.0",
    "hera==7.1.0",
    "jsonschema-rs==0.61.0",
    "PyYAML==6.0.4",
]
NPM = [
    "node@22",
    "gitlab-ci-local@4.75.1",
    "@ibm/tekton-lint@1.1.0",
    "@kubernetes-models/argo-workflows@2.0.0",
    "yaml@2",
]
ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
# Files of so many pipelines are handed to a tool at once.
BATCH = 100


def main():
    options = parse_arguments()
    tools = options.tools.resolve()
    if options.install:
        install(tools)
    run_in_venv(tools)
    os.environ["PATH"] = f"{tools}/venv/bin:{tools}/npm/node_modules/.bin:{os.environ['PATH']}"
    with tempfile.TemporaryDirectory() as folder:
        corpus = options.corpus or generate(Path(folder) / "corpus", options)
        pipelines = sorted(path for path in corpus.iterdir() if path.is_dir())
        results = [lint(check, pipelines, tools) for check in CHECKS]
        if options.execute > 0 and can_execute():
            sys.dont_write_bytecode = True
            from execution import execute

            results.append(execute(pipelines[: options.execute], Path(folder) / "run"))
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
    """What is there in the right version already costs a second each."""
    for what, command in [
        ("a Python environment", ["python3", "-m", "venv", f"{tools}/venv"]),
        ("from PyPI", [f"{tools}/venv/bin/pip", "install", "--quiet", *PYPI]),
        ("from npm", ["npm", "install", "--no-fund", "--no-audit", "--prefix", f"{tools}/npm", *NPM]),
    ]:
        try:
            result = run(command, capture_output=True)
        except OSError as error:
            print(f"not installed: {what}: {error}", flush=True)
            continue
        if result.returncode != 0:
            reason = (result.stderr or result.stdout).strip().splitlines()[-1:]
            print(f"not installed: {what}: {' '.join(reason)}", flush=True)


def run_in_venv(tools):
    """The rest needs the packages of the environment, if there is one."""
    python = tools / "venv/bin/python"
    if python.exists() and Path(sys.prefix).resolve() != (tools / "venv").resolve():
        arguments = [argument for argument in sys.argv[1:] if argument != "--install"]
        os.execv(python, [python, __file__, *arguments])


def run(command, **options):
    return subprocess.run(command, text=True, **options)


def generate(folder, options):
    command = ["cargo", "run", "--quiet", "-p", "prestage-lpt", "--example", "corpus", "--"]
    run([*command, folder, str(options.count), str(options.seed)], cwd=ROOT, check=True)
    return folder


def found(tool, check):
    if run(["which", tool], capture_output=True).returncode == 0:
        return True
    print(f"{check}: skipped, {tool} is not there (--install puts it into --tools)", flush=True)
    return False


def can_execute():
    return all([found(tool, "gitlab: runs") for tool in ("gitlab-ci-local", "rsync", "git", "timeout")])


# Name, tool, files of a pipeline, command before the files.
CHECKS = [
    ("github: jactionlint", "jactionlint", ".github/workflows/*.yml", ["jactionlint", "--shellcheck="]),
    ("github: zizmor", "zizmor", ".github/workflows/*.yml", ["zizmor", "--offline", "--quiet"]),
    ("github: schema", "check-jsonschema", ".github/workflows/*.yml",
     ["check-jsonschema", "--builtin-schema", "vendor.github-workflows"]),
    ("gitlab: schema", "check-jsonschema", ".gitlab-ci.yml",
     ["check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"]),
    ("tekton: tekton-lint", "tekton-lint", "tekton/*/*.yaml", ["tekton-lint", "--quiet"]),
    ("argo: strict schema", "hera", "argo/*.yaml", [sys.executable, HERE / "argo.py"]),
    ("argo: types", "node", "argo/*.yaml", ["node", HERE / "argo.mjs", "{tools}"]),
]


def lint(check, pipelines, tools):
    name, tool, pattern, command = check
    if not found(tool, name):
        return True
    start = time.monotonic()
    command = [tools if part == "{tools}" else part for part in command]
    files = findings = 0
    for first in range(0, len(pipelines), BATCH):
        of_batch = pipelines[first:first + BATCH]
        paths = [path for pipeline in of_batch for path in sorted(pipeline.glob(pattern))]
        if not paths:
            continue
        files += len(paths)
        result = run([*command, *paths], capture_output=True)
        if result.returncode != 0:
            findings += 1
            print("\n".join((result.stdout + result.stderr).splitlines()[:20]), flush=True)
    verdict = "clean" if findings == 0 else f"FINDINGS in {findings} batches"
    seconds = time.monotonic() - start
    print(f"{name}: {files} files of {len(pipelines)} pipelines, {verdict} ({seconds:.0f} s)", flush=True)
    return findings == 0


if __name__ == "__main__":
    main()
