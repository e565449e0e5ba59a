"""featvis shows what a vision network has learned: methods over a model record, results as data.

>>> import featvis, zoo_adapters
>>> model = zoo_adapters.load("bundled:scenes-resnet")
>>> image = zoo_adapters.read_image("picture.jpg", model)
>>> featvis.cam(model, image).residual
"""

from featvis import render
from featvis.aim import Aim
from featvis.faithfulness import deletion, insertion
from featvis.localization import boxes, pointing
from featvis.model import Image, Layer, Preprocessing, VisionModel, WrongRequest
from featvis.receptive_field import receptive_field
from featvis.record import record
from featvis.sanity import sanity
from featvis.spec import METHODS, Method, Param, Range, Tuning, method
from featvis.target import Contrast, Likeness

# isort: off
# the order in which the methods are listed everywhere
from featvis.filters import filters
from featvis.feature_maps import feature_maps
from featvis.cam import cam
from featvis.grad_cams import grad_cam, grad_cam_plus_plus, hires_cam, layer_cam
from featvis.gradient_free import eigen_cam, score_cam
from featvis.gradients import gradient_x_input, integrated_gradients, saliency, smoothgrad
from featvis.guided import deconvnet, guided_backprop, guided_grad_cam
from featvis.attention import attention_rollout
from featvis.occlusion import occlusion
from featvis.maximize import maximize
from featvis.echoes import caricature, inversion
from featvis.dream import deepdream
# isort: on

__all__ = [
    "METHODS",
    "Aim",
    "Contrast",
    "Image",
    "Layer",
    "Likeness",
    "Method",
    "Param",
    "Preprocessing",
    "Range",
    "Tuning",
    "VisionModel",
    "WrongRequest",
    "attention_rollout",
    "boxes",
    "cam",
    "caricature",
    "deconvnet",
    "deepdream",
    "deletion",
    "eigen_cam",
    "feature_maps",
    "filters",
    "grad_cam",
    "grad_cam_plus_plus",
    "gradient_x_input",
    "guided_backprop",
    "guided_grad_cam",
    "hires_cam",
    "insertion",
    "integrated_gradients",
    "inversion",
    "layer_cam",
    "maximize",
    "method",
    "occlusion",
    "pointing",
    "receptive_field",
    "record",
    "render",
    "saliency",
    "sanity",
    "score_cam",
    "smoothgrad",
]
