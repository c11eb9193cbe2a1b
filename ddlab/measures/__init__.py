"""Measures: each is a component called at eval points; see `Measure` for how to add one."""

from ddlab.measures.base import AlongPath, Measure, Snapshot, Spectrum
from ddlab.measures.circuit import (
    Circuit,
    DistanceIrrelevance,
    EmbeddingSpectrum,
    GradientSymmetricity,
    LogitSpectrum,
    NeuronFrequencies,
)
from ddlab.measures.masks import MaskDistance, NumNonzero
from ddlab.measures.memorised import Memorised
from ddlab.measures.neurons import ActiveNeurons
from ddlab.measures.norms import GradientNorm, LearningRate, WeightNorm
from ddlab.measures.predictions import Predictions
from ddlab.measures.spectrum import Conditioning, DegreesOfFreedom, NoiseVariance
from ddlab.measures.weights import DistanceFromStart, EffectiveRank, GroupNorm

__all__ = [
    "ActiveNeurons",
    "AlongPath",
    "Circuit",
    "Conditioning",
    "DegreesOfFreedom",
    "DistanceFromStart",
    "DistanceIrrelevance",
    "EffectiveRank",
    "EmbeddingSpectrum",
    "GradientNorm",
    "GradientSymmetricity",
    "GroupNorm",
    "LearningRate",
    "LogitSpectrum",
    "MaskDistance",
    "Measure",
    "Memorised",
    "NeuronFrequencies",
    "NoiseVariance",
    "NumNonzero",
    "Predictions",
    "Snapshot",
    "Spectrum",
    "WeightNorm",
]
