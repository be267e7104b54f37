"""Analyses of a study's trials: pure functions from a trial table to frozen records."""

from study.records.labels import (
    arm_label,
    dimension_axis,
    dimension_symbol,
    metric_label,
    order_label,
)
from study.sensitivity.average_ranks import AverageRanks, average_ranks, critical_difference
from study.sensitivity.best_set import BestSet, ValueToBest, best_set
from study.sensitivity.comparison import (
    COMPARED_METRICS,
    TEST_METRICS,
    ArmComparison,
    ArmSampleIntervals,
    Comparison,
    MajorityClass,
    Measurement,
    SampleInterval,
    compare,
    majority_class,
    sample_intervals,
)
from study.sensitivity.configuration_transfer import (
    TRANSFER_METRICS,
    SourceKind,
    Transfer,
    TransferRow,
    TransferTarget,
    TransferValue,
    transfer,
    transfer_methods,
)
from study.sensitivity.cosine_correlation import (
    Correlation,
    CosineAndAccuracy,
    cosine_and_accuracy,
)
from study.sensitivity.intervals import (
    CONFIDENCE,
    CorrectedDifference,
    Interval,
    PairedDifference,
    holm,
    paired_difference,
    t_interval,
)
from study.sensitivity.layer_cosine import (
    MEAN_LAYER,
    ArmCosine,
    CosineOverEpochs,
    FilterCosineByLayer,
    FilterCosineCurves,
    LayerCosine,
    LayerOverEpochs,
    cosine_over_epochs,
    filter_cosine,
    filter_cosine_over_dimension,
)
from study.sensitivity.learning_curves import (
    LearningCurves,
    learning_curves,
    workloads_with_curves,
)
from study.sensitivity.occlusion import (
    OCCLUSION_ORDERS,
    OcclusionCurve,
    Robustness,
    occluded_workloads,
    robustness,
)
from study.sensitivity.optimization_history import (
    HistoryPoint,
    SearchHistory,
    SearchPoint,
    SearchPoints,
    search_history,
    search_points,
)
from study.sensitivity.permutation_tests import SweepEffect, sweep_effect
from study.sensitivity.power import (
    POWER,
    detectable,
    detectable_difference,
    paired_spread,
    replicas_needed,
)
from study.sensitivity.range_edges import EdgeValue, RangeEdges, range_edges
from study.sensitivity.replica_health import not_covered, seeds_at_chance
from study.sensitivity.saved_attributions import (
    AttributionMaps,
    maps_with_controls,
    read_attribution_maps,
)
from study.sensitivity.sweep_curves import (
    ArmCurves,
    DimensionCurve,
    arm_curves,
    shared_sweeps,
    sweep_curve,
    swept_dimensions,
)
from study.sensitivity.trial_cost import Cost, cost
from study.sensitivity.workloads import (
    CONTROLS,
    Workload,
    control_of,
    workloads,
    workloads_with_base,
)
