"""featvis shows what a vision network has learned: methods over a model record, results as data.

>>> import featvis, zoo_adapters
>>> model = zoo_adapters.load("bundled:scenes-resnet")
>>> image = zoo_adapters.read_image("picture.jpg", model)
>>> featvis.cam(model, image).residual
"""

from featvis import render
from featvis.classes import Classes
from featvis.embedding import Embedding
from featvis.gradients.aim import Aim
from featvis.measures.faithfulness import deletion, insertion
from featvis.measures.localization import boxes, pointing
from featvis.measures.sanity import sanity
from featvis.model import Image, Layer, Preprocessing, VisionModel, WrongRequest
from featvis.network.receptive_field import receptive_field
from featvis.output import Output
from featvis.record import record, record_units
from featvis.spec import METHODS, Method, Param, Range, Tuning, method
from featvis.target import Contrast, Likeness
from featvis.types import Rectangle

# isort: off
# the order in which the methods are listed everywhere
from featvis.methods.filters import filters as filters
from featvis.methods.feature_maps import feature_maps as feature_maps
from featvis.methods.cam import cam as cam
from featvis.methods.grad_cams import (
    grad_cam as grad_cam,
    grad_cam_plus_plus as grad_cam_plus_plus,
    hires_cam as hires_cam,
    layer_cam as layer_cam,
)
from featvis.methods.gradient_free import eigen_cam as eigen_cam, score_cam as score_cam
from featvis.methods.saliency import (
    gradient_x_input as gradient_x_input,
    integrated_gradients as integrated_gradients,
    saliency as saliency,
    smoothgrad as smoothgrad,
)
from featvis.methods.guided import (
    deconvnet as deconvnet,
    guided_backprop as guided_backprop,
    guided_grad_cam as guided_grad_cam,
)
from featvis.methods.attention import attention_rollout as attention_rollout
from featvis.methods.occlusion import occlusion as occlusion
from featvis.methods.maximize import maximize as maximize
from featvis.methods.inversion import caricature as caricature, inversion as inversion
from featvis.methods.dream import deepdream as deepdream
# isort: on

__version__ = "0.2.0"

__all__ = [
    "METHODS",
    "Aim",
    "Classes",
    "Contrast",
    "Embedding",
    "Image",
    "Layer",
    "Likeness",
    "Method",
    "Output",
    "Param",
    "Preprocessing",
    "Range",
    "Rectangle",
    "Tuning",
    "VisionModel",
    "WrongRequest",
    "boxes",
    "deletion",
    "insertion",
    "method",
    "pointing",
    "receptive_field",
    "record",
    "record_units",
    "render",
    "sanity",
    *METHODS,
]
