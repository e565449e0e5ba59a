"""featvis shows what a vision network has learned: methods over a model record, results as data.

>>> import featvis, zoo_adapters
>>> model = zoo_adapters.load("bundled:scenes-resnet")
>>> image = zoo_adapters.read_image("picture.jpg", model)
>>> featvis.cam(model, image).residual
"""

from featvis import render
from featvis.cam import cam, grad_cam
from featvis.feature_maps import feature_maps
from featvis.filters import filters
from featvis.gradients import saliency
from featvis.model import Image, Layer, Preprocessing, VisionModel, WrongRequest
from featvis.receptive_field import receptive_field
from featvis.record import record
from featvis.spec import METHODS, Method, Param, Range, method

__all__ = [
    "METHODS",
    "Image",
    "Layer",
    "Method",
    "Param",
    "Preprocessing",
    "Range",
    "VisionModel",
    "WrongRequest",
    "cam",
    "feature_maps",
    "filters",
    "grad_cam",
    "method",
    "receptive_field",
    "record",
    "render",
    "saliency",
]
