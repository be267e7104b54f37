"""A study file, decoded strictly into frozen records, and what may change once it has begun."""

from study.config.arm import Arm, replica_seeds
from study.config.continuation import check_continuation
from study.config.defaults import merge
from study.config.groups import baseline_of
from study.config.json_schema import schema
from study.config.schema import Replicas, Resources, SearchConfig, Sensitivity
from study.config.study_spec import StudySpec, load, parse
from study.config.sweeps import SweepRequest, add_sweeps, read_values, with_sweeps
from study.config.yaml_reader import read_text, read_yaml

__all__ = [
    "Arm",
    "Replicas",
    "Resources",
    "SearchConfig",
    "Sensitivity",
    "StudySpec",
    "SweepRequest",
    "add_sweeps",
    "baseline_of",
    "check_continuation",
    "load",
    "merge",
    "parse",
    "read_text",
    "read_values",
    "read_yaml",
    "replica_seeds",
    "schema",
    "with_sweeps",
]
