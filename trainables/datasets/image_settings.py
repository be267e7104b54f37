"""The settings that all image datasets share: how large each split is, and how it is scaled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from trainables.datasets.subset_settings import SubsetSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSettings(SubsetSettings):
    """Sizes, subset and scaling of an image dataset; the rest is in :class:`SubsetSettings`.

    Attributes:
        normalisation: ``standardise`` to mean 0 and variance 1 over the full training set, or
            ``unit`` for values in [0, 1]. In [0, 1] an empty pixel is 0 and its relevance is
            always 0, so that Challenger hardly ever selects it.
    """

    normalisation: Literal["standardise", "unit"] = "standardise"
