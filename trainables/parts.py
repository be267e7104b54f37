"""All that a plug-in needs: the base classes of parts, and what their methods take and return."""

from trainables.attribution import Attribution
from trainables.attribution.attribution import Target
from trainables.batch import Batch, Labels, is_multi_label
from trainables.datasets import DataFolders, Dataset, DatasetInfo, Samples, Splits
from trainables.datasets.splits import per_class_indices, stratified_indices
from trainables.datasets.tensor_samples import TensorSamples
from trainables.decoding import record
from trainables.errors import ConfigError, DataError
from trainables.fields import Count, Positive, SearchRange, Share, Symbol
from trainables.methods import Method
from trainables.metrics import NATS, PER_CENT, PLAIN, Score
from trainables.models import Model
from trainables.replica_rng import ReplicaRNG
from trainables.seeding import seeded_global_rng, stream

__all__ = [
    "NATS",
    "PER_CENT",
    "PLAIN",
    "Attribution",
    "Batch",
    "ConfigError",
    "Count",
    "DataError",
    "DataFolders",
    "Dataset",
    "DatasetInfo",
    "Labels",
    "Method",
    "Model",
    "Positive",
    "ReplicaRNG",
    "Samples",
    "Score",
    "SearchRange",
    "Share",
    "Splits",
    "Symbol",
    "Target",
    "TensorSamples",
    "is_multi_label",
    "per_class_indices",
    "record",
    "seeded_global_rng",
    "stratified_indices",
    "stream",
]
