"""What dimensions are called for people: the paper's symbols; imports nothing, so that all may."""

from __future__ import annotations

from types import MappingProxyType

_DIMENSIONS = MappingProxyType(
    {
        "top_k": ("K", "Classes whose attribution may be drawn, K"),
        "n_features": ("N", "Challenged input features, N"),
        "alpha": ("α", "Decrease of a challenged feature, α"),
        "beta": ("β", "Increase of a challenged feature, β"),
        "split": ("split", "Changed share of a batch"),
        "a_share": ("A share", "Share of the challenged samples that are lowered"),
        "attribution": ("attribution", "Attribution that ranks the features"),
        "budget": ("ε", "Radius of the attack, ε"),
        "steps": ("steps", "Steps of the attack"),
        "step_size": ("step", "Step of the attack as a share of ε"),
        "concentration": ("a", "Concentration of the mixing share, a"),
        "probability": ("p", "Probability of a change, p"),
        "max_area": ("largest area", "Largest erased share of an image"),
        "mix": ("chance", "Weight of chance beside relevance"),
        "threshold": ("threshold", "Score from which a position is dropped"),
        "masked_share": ("masked", "Masked share of the features"),
        "weight": ("λ", "Weight of the divergence, λ"),
    }
)


def dimension_symbol(dimension: str) -> str:
    """Give the paper's symbol of a dimension, or its own name: ``top_k`` is K."""
    return _DIMENSIONS.get(dimension, (dimension, dimension))[0]


def dimension_axis(dimension: str) -> str:
    """Say what a dimension is, for the axis of a figure."""
    return _DIMENSIONS.get(dimension, (dimension, dimension))[1]
