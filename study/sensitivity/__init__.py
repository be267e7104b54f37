"""What the trials of a study show: pure functions from a trial table to frozen records."""

from study.sensitivity.attribution_maps import AttributionMaps, read_attribution_maps
from study.sensitivity.comparison import (
    COMPARED_METRICS,
    TEST_METRICS,
    ArmComparison,
    Comparison,
    Measurement,
    compare,
)
from study.sensitivity.filter_cosine import (
    MEAN_LAYER,
    ArmCosine,
    FilterCosine,
    FilterCosineCurves,
    LayerCosine,
    filter_cosine,
    filter_cosine_over_dimension,
)
from study.sensitivity.intervals import (
    CONFIDENCE,
    CorrectedDifference,
    Interval,
    PairedDifference,
    correct,
    holm,
    paired_difference,
    t_interval,
)
from study.sensitivity.labels import (
    Direction,
    MetricLabel,
    arm_label,
    dimension_axis,
    dimension_symbol,
    metric_label,
)
from study.sensitivity.over_dimension import (
    ControlLevel,
    CurvePoint,
    DimensionCurve,
    over_dimension,
    swept_dimensions,
)
from study.sensitivity.search_history import HistoryPoint, SearchHistory, search_history
from study.sensitivity.settings import CONTROLS, Setting, control_of, describe_state, settings

__all__ = [
    "COMPARED_METRICS",
    "CONFIDENCE",
    "CONTROLS",
    "MEAN_LAYER",
    "TEST_METRICS",
    "ArmComparison",
    "ArmCosine",
    "AttributionMaps",
    "Comparison",
    "ControlLevel",
    "CorrectedDifference",
    "CurvePoint",
    "DimensionCurve",
    "Direction",
    "FilterCosine",
    "FilterCosineCurves",
    "HistoryPoint",
    "Interval",
    "LayerCosine",
    "Measurement",
    "MetricLabel",
    "PairedDifference",
    "SearchHistory",
    "Setting",
    "arm_label",
    "compare",
    "control_of",
    "correct",
    "describe_state",
    "dimension_axis",
    "dimension_symbol",
    "filter_cosine",
    "filter_cosine_over_dimension",
    "holm",
    "metric_label",
    "over_dimension",
    "paired_difference",
    "read_attribution_maps",
    "search_history",
    "settings",
    "swept_dimensions",
    "t_interval",
]
