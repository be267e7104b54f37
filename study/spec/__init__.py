"""A study file, decoded strictly into frozen records, and what may change once it has begun."""

from study.spec.arm import Arm, replica_seeds
from study.spec.continuation import check_continuation
from study.spec.groups import baseline_of
from study.spec.merging import merge
from study.spec.reading import read_text
from study.spec.settings import Replicas, Resources, Search, Sensitivity
from study.spec.study_spec import StudySpec, load, parse
from study.spec.sweeps import Wish, ask_for_sweep, read_values, with_sweeps
from study.spec.yaml_reader import read_yaml

__all__ = [
    "Arm",
    "Replicas",
    "Resources",
    "Search",
    "Sensitivity",
    "StudySpec",
    "Wish",
    "ask_for_sweep",
    "baseline_of",
    "check_continuation",
    "load",
    "merge",
    "parse",
    "read_text",
    "read_values",
    "read_yaml",
    "replica_seeds",
    "with_sweeps",
]
