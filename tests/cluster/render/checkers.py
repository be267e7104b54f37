"""Checkers of launch files by third-party tools; each returns a list of mistakes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml
from compose_spec import PyCompose
from jsonschema import Draft202012Validator, ValidationError
from ray.autoscaler._private.util import prepare_config, validate_config
from referencing import Registry, Resource

_VERSION: Final = "1.37.0"
_SCHEMAS: Final = Path(__file__).parent / "schemas"


def check_kubernetes(text: str) -> list[str]:
    """Check Kubernetes' own kinds by its schemas, KubeRay's by ours; unknown keys are wrong."""
    return [found for one in yaml.safe_load_all(text) for found in _manifest_problems(one)]


def _manifest_problems(manifest: dict[str, Any]) -> Iterator[str]:
    name = f"{manifest['kind']} {manifest['metadata']['name']}"
    if manifest["apiVersion"].startswith("ray.io/"):
        validator = _ray_validator(manifest["kind"])
        for error in validator.iter_errors(manifest):
            yield f"{name}: {error.json_path}: {error.message}"
        return
    try:
        kubernetes_validate.validate(manifest, _VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        yield f"{name}: {'.'.join(map(str, error.path))}: {error.message}"


@cache
def _ray_validator(kind: str) -> Draft202012Validator:
    folder = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{_VERSION}-local-strict"
    definitions = json.loads((folder / "_definitions.json").read_text(encoding="utf-8"))
    ours = json.loads((_SCHEMAS / "ray.json").read_text(encoding="utf-8"))
    registry = Registry().with_resources(
        (one["$id"], Resource.from_contents(one)) for one in (definitions, ours)
    )
    return Draft202012Validator({"$ref": f"{ours['$id']}#/$defs/{kind}"}, registry=registry)


def check_compose(text: str) -> list[str]:
    """Read a Compose file as its specification says; unknown keys are wrong."""
    try:
        PyCompose.from_yaml(text)
    except ValueError as error:
        return [str(error)]
    return []


def check_ray_up(text: str) -> list[str]:
    """Check what ``ray up`` checks before it connects, and afterwards on the head."""
    config = yaml.safe_load(text)
    schema = json.loads((files("ray.autoscaler") / "ray-schema.json").read_text(encoding="utf-8"))
    found = [error.message for error in Draft202012Validator(schema).iter_errors(config)]
    try:
        validate_config(prepare_config(config))
    except (ValidationError, ValueError, SystemExit) as error:
        found.append(str(error))
    return found


def check_shell(text: str) -> list[str]:
    """Read a script with shellcheck, which knows what goes wrong in scripts."""
    program = shutil.which("shellcheck")
    if program is None:
        pytest.skip("needs Debian's package 'shellcheck'")
    return _output_of([program, "--severity=style", "-"], text)


def check_dockerfile(text: str) -> list[str]:
    """Read a Dockerfile with hadolint."""
    return _output_of([str(Path(sys.executable).with_name("hadolint")), "--no-color", "-"], text)


def _output_of(command: list[str], text: str) -> list[str]:
    ended = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert ended.returncode in (0, 1), ended.stderr
    return (ended.stdout + ended.stderr).splitlines() if ended.returncode else []


CHECKERS: Final[dict[str, Callable[[str], list[str]]]] = {
    "compose": check_compose,
    "dockerfile": check_dockerfile,
    "kuberay": check_kubernetes,
    "ray-up": check_ray_up,
    "slurm": check_shell,
}
