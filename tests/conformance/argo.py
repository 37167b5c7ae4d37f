"""Strict schema of an Argo WorkflowTemplate: argo.py FILE...

The types come from the package `hera`, which carries Argo's own (generated from its OpenAPI
document). As published they let an unknown key pass; here every object with named properties
refuses others, and null is no value. Prints one line per finding, exits 1 on any.
"""

import copy
import sys
from pathlib import Path

import jsonschema_rs
import yaml
from hera.workflows.models import WorkflowTemplate


def strict(schema):
    """The schema with unknown keys and null refused, at every depth."""
    if isinstance(schema, list):
        return [strict(item) for item in schema if item != {"type": "null"}]
    if not isinstance(schema, dict):
        return schema
    result = {key: strict(value) for key, value in schema.items() if key != "default"}
    if isinstance(schema.get("properties"), dict):
        # The names of properties are not keywords.
        result["properties"] = {key: strict(value) for key, value in schema["properties"].items()}
        result.setdefault("additionalProperties", False)
    return result


def findings(validator, document):
    return [
        f"{'/'.join(map(str, error.instance_path))}: {error.message[:200]}"
        for error in validator.iter_errors(document)
    ]


def faults_of(validator, sample):
    """A validator that passes a misspelt key or a wrong type proves nothing."""

    def with_fault(change):
        broken = copy.deepcopy(sample)
        change(broken)
        return broken

    def task_of(document):
        return document["spec"]["templates"][0]["dag"]["tasks"][0]

    broken = {
        "a misspelt key of the specification": with_fault(lambda d: d["spec"].update(entrypont="x")),
        "a misspelt key of a task": with_fault(lambda d: task_of(d).update(dependz="x")),
        "a string for a list": with_fault(lambda d: d["spec"].update(templates="x")),
        "a number for a name": with_fault(lambda d: task_of(d).update(template=1)),
    }
    return [what for what, document in broken.items() if not findings(validator, document)]


def read(file):
    return yaml.load(file.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def main():
    files = [Path(name) for name in sys.argv[1:]]
    validator = jsonschema_rs.Draft202012Validator(
        strict(WorkflowTemplate.model_json_schema(by_alias=True))
    )
    sample = read(files[0])
    lines = [f"the validator passes {what}" for what in faults_of(validator, sample)]
    for file in files:
        lines += [f"{file}: {line}" for line in findings(validator, read(file))]
    print("\n".join(lines))
    sys.exit(1 if lines else 0)


if __name__ == "__main__":
    main()
