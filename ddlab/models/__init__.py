"""Networks: each is a component with `make(spec, init) -> flax.nnx.Module`."""

from ddlab.losses import Outputs
from ddlab.models.base import Model, Training
from ddlab.models.cnn import CNN
from ddlab.models.committee import Committee
from ddlab.models.diagonal import Diagonal
from ddlab.models.embedding_mlp import EmbeddingMLP
from ddlab.models.experts import MixtureOfExperts
from ddlab.models.features import Columns, FeatureModel, FeatureNetwork
from ddlab.models.init import Axis, Constant, Init
from ddlab.models.legendre import Legendre
from ddlab.models.linear import Linear
from ddlab.models.mlp import MLP
from ddlab.models.products import lookup, matmul
from ddlab.models.quadratic_mlp import QuadraticMLP
from ddlab.models.random_features import RandomFeatures
from ddlab.models.resnet import ResNet
from ddlab.models.transformer import Transformer
from ddlab.models.vision_transformer import VisionTransformer

__all__ = [
    "CNN",
    "MLP",
    "Axis",
    "Columns",
    "Committee",
    "Constant",
    "Diagonal",
    "EmbeddingMLP",
    "FeatureModel",
    "FeatureNetwork",
    "Init",
    "Legendre",
    "Linear",
    "MixtureOfExperts",
    "Model",
    "Outputs",
    "QuadraticMLP",
    "RandomFeatures",
    "ResNet",
    "Training",
    "Transformer",
    "VisionTransformer",
    "lookup",
    "matmul",
]
