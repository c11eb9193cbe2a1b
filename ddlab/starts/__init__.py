"""Where a trial begins: `Values` say where its parameters are from, a `Mask` which weights live, a `Score` which to keep."""

from ddlab.starts.base import Kept, Mask, Ref, Score, Values, Weights
from ddlab.starts.masks import Copied, Cut
from ddlab.starts.scores import Magnitude, Random
from ddlab.starts.values import Between, FromTrial

__all__ = ["Between", "Copied", "Cut", "FromTrial", "Kept", "Magnitude", "Mask", "Random", "Ref", "Score", "Values", "Weights"]
