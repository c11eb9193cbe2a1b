"""Measures: each is a component called at eval points; see `Measure` for how to add one."""

from ddlab.measures.base import Measure, Snapshot, Spectrum
from ddlab.measures.norms import GradientNorm, LearningRate, WeightNorm
from ddlab.measures.predictions import Predictions
from ddlab.measures.spectrum import Conditioning, DegreesOfFreedom, NoiseVariance

__all__ = [
    "Conditioning",
    "DegreesOfFreedom",
    "GradientNorm",
    "LearningRate",
    "Measure",
    "NoiseVariance",
    "Predictions",
    "Snapshot",
    "Spectrum",
    "WeightNorm",
]
