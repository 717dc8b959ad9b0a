"""What the training of FuseNet makes small.

Where somebody is drawn on themselves the truth is known: ``truth`` and ``edges`` compare with it.
Where somebody else is drawn, ``detail`` holds fine structure to what was drawn, ``colour`` the
tone of wide parts to that of the target's skin, ``tone`` that of bare skin to what the picture
shows at the same place, ``rim`` does so along the outer rim, and ``identity`` asks a recogniser who
is seen. For both, ``mask`` wants the face covered but for what really stands in front, ``steady``
no change along the known flow but the truth's, and ``realism`` asks a critic whether all looks like
a picture.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engines.networks.fusenet.network import Result

_WINDOW = 48
"""Side of the windows whose mean colour is compared, in pixels; in smaller ones brows and lips
count for more than in the low-pass that the network is shown."""

_UNSEEN = 3 / 255
"""A difference of colour up to which a window is left alone."""

_SKIN_WINDOW = 16
"""Side of the windows in which the tone of bare skin is compared."""

_RIM_WINDOW = 5
"""Side of those along the rim: its grain is not asked for."""

_DETAIL_PX = 9
_FLOOR = 1e-3


@dataclass(frozen=True, slots=True)
class Scene:
    """One frame of a batch on the device; all ``(N, ?, S, S)``.

    Attributes:
        render, validity, context, keep: the network's inputs.
        truth: what the picture shows, without noise.
        hidden: where something stands in front, really.
        zones: ``(N, 2, S, S)`` bare skin and outer rim.
        own: ``(N, 1, 1, 1)`` 1 where somebody is drawn on themselves.
    """

    render: Tensor
    validity: Tensor
    context: Tensor
    keep: Tensor
    truth: Tensor
    hidden: Tensor
    zones: Tensor
    own: Tensor

    @property
    def face(self) -> Tensor:
        """Where the drawn face is to be seen."""
        return (1 - self.keep) * (1 - self.hidden)


def composed(scene: Scene, made: Result) -> Tensor:
    """The finished picture: with the known mask where the truth is known, else with its own.

    With its own mask it would be easiest to let the truth shine through.
    """
    blend = scene.own * scene.face + (1 - scene.own) * made.blend
    return blend * made.image + (1 - blend) * scene.truth


def over_face(values: Tensor, weight: Tensor) -> Tensor:
    """Mean of ``(N, C, S, S)`` where the weight ``(N, 1, S, S)`` is."""
    return (values * weight).sum() / (weight.sum() * values.shape[1] + 1.0)


def truth_loss(scene: Scene, made: Result) -> Tensor:
    """L1 against the truth inside the face."""
    return over_face((made.image - scene.truth).abs(), scene.face * scene.own)


def mask_loss(scene: Scene, made: Result) -> Tensor:
    """L1 of the mask against what is really in front."""
    return over_face((made.blend - scene.face).abs(), 1 - scene.keep)


def colour_loss(scene: Scene, made: Result) -> Tensor:
    """How far the mean colour of windows of the face is from that of the target's skin there."""
    weight = scene.face * (1 - scene.own)
    share = nn.functional.avg_pool2d(weight, _WINDOW, _WINDOW // 2)
    off = nn.functional.avg_pool2d((made.image - scene.context) * weight, _WINDOW, _WINDOW // 2)
    off = torch.relu((off / (share + _FLOOR)).abs() - _UNSEEN)
    return over_face(off, share)


def tone_loss(scene: Scene, made: Result) -> Tensor:
    """How far bare skin of somebody else's face is from the tone of the target's, there."""
    return _apart(scene, made, scene.zones[:, :1], _SKIN_WINDOW)


def rim_loss(scene: Scene, made: Result) -> Tensor:
    """How far the outer rim of somebody else's face is from what the picture shows there."""
    return _apart(scene, made, scene.zones[:, 1:], _RIM_WINDOW)


def _apart(scene: Scene, made: Result, zone: Tensor, window: int) -> Tensor:
    """Mean distance of the means of windows, where the zone of somebody else's face is."""
    weight = scene.face * zone * (1 - scene.own)
    share = nn.functional.avg_pool2d(weight, window, window // 2)
    off = nn.functional.avg_pool2d((made.image - scene.truth) * weight, window, window // 2)
    return over_face((off / (share + _FLOOR)).abs(), share)


def detail_loss(scene: Scene, made: Result) -> Tensor:
    """How much fine structure was added to or taken from somebody else's drawn face."""
    change = made.image - scene.render
    fine = change - nn.functional.avg_pool2d(
        change, _DETAIL_PX, 1, _DETAIL_PX // 2, count_include_pad=False
    )
    # Near the rim the render ends, and so does what it says of the face.
    inner = (2 * scene.face - 1).clamp(min=0)
    return over_face(fine.abs(), inner * (1 - scene.own))


def steady_loss(
    scene: Scene, made: Result, before: Scene, made_before: Result, grid: Tensor, trust: Tensor
) -> Tensor:
    """Change along the flow that is not the truth's own.

    Args:
        scene, made: this frame.
        before, made_before: the frame before.
        grid: ``(N, S, S, 2)`` where its pixels are, for ``grid_sample``.
        trust: ``(N, 1, S, S)`` 0..1 in that.
    """
    image, truth, face = (
        sampled(one, grid) for one in (made_before.image, before.truth, before.face)
    )
    change = (made.image - image) - scene.own * (scene.truth - truth)
    return over_face(change.abs(), scene.face * face * (trust > 0))


def identity_loss(embedding: Tensor, wanted: Tensor, weight: Tensor) -> Tensor:
    """1 less the cosine of ``(N, 128)`` directions, for those of weight 1."""
    cosine = nn.functional.cosine_similarity(embedding, wanted)
    return ((1 - cosine) * weight).sum() / (weight.sum() + _FLOOR)


def sampled(planes: Tensor, grid: Tensor) -> Tensor:
    """``(N, C, H, W)`` at the places of a grid; what lies outside repeats the edge."""
    return nn.functional.grid_sample(planes, grid, padding_mode="border", align_corners=False)


def flow_grid(flow: Tensor) -> Tensor:
    """The grid that a flow ``(N, H, W, 2)`` in pixels leads to."""
    height, width = flow.shape[1:3]
    y = torch.arange(height, device=flow.device, dtype=flow.dtype)
    x = torch.arange(width, device=flow.device, dtype=flow.dtype)
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    at = torch.stack([columns, rows], dim=-1) + flow
    return (2 * at + 1) / at.new_tensor([width, height]) - 1
