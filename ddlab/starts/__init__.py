"""What a trial takes from others.

Where it begins: `Values` say where its parameters are from, a `Mask` which weights live, a `Score` which to keep. And a
`Teacher`, whose outputs it learns.
"""

from ddlab.starts.base import Kept, Layer, Mask, Piece, Ref, Score, Sets, Values, Weights
from ddlab.starts.masks import Copied, Cut, Pattern, Scored
from ddlab.starts.scores import Grasp, Growth, Magnitude, Movement, Random, RouterMass, Snip, SynFlow, Taylor
from ddlab.starts.teacher import Teacher
from ddlab.starts.values import Average, Between, FromTrial, NormOf

__all__ = [
    "Average",
    "Between",
    "Copied",
    "Cut",
    "FromTrial",
    "Grasp",
    "Growth",
    "Kept",
    "Layer",
    "Magnitude",
    "Mask",
    "Movement",
    "NormOf",
    "Pattern",
    "Piece",
    "Random",
    "Ref",
    "RouterMass",
    "Score",
    "Scored",
    "Sets",
    "Snip",
    "SynFlow",
    "Taylor",
    "Teacher",
    "Values",
    "Weights",
]
