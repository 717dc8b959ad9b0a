"""What distinguishes one family of networks from another, as typed data.

The values stand in the catalogue. A picture becomes a tensor as ``(x / 255 - mean) / std``, for
each of the channels in the order of ``colours``.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from engines.families.templates import TemplateName

Name = Annotated[str, Field(pattern=r"^[a-z0-9_.]+$")]
Pixels = Annotated[int, Field(ge=16, le=4096)]
Triple = tuple[float, float, float]
Spread = tuple[
    Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]
]
Colours = Literal["rgb", "bgr"]

_STRICT = ConfigDict(extra="forbid", frozen=True)
_ZERO = (0.0, 0.0, 0.0)
_ONE = (1.0, 1.0, 1.0)


class EmbeddingSource(BaseModel):
    """A swapper that is told the identity as a vector.

    Attributes:
        recogniser: name of the recogniser whose embedding it was trained on.
        rule: how the embedding becomes the input. ``normalised``: scaled to length 1; ``emap``:
            that, times the last initializer of the swapper's graph, scaled to length 1 again;
            ``converted``: through the converter; ``converted_normalised``: that, scaled to
            length 1.
        converter: name of the network that translates the embedding, for the last two rules.
        dimensions: length of the vector.
    """

    model_config = _STRICT

    kind: Literal["embedding"]
    recogniser: Name
    rule: Literal["normalised", "emap", "converted", "converted_normalised"]
    converter: Name | None = None
    dimensions: Annotated[int, Field(gt=0)] = 512


class PictureSource(BaseModel):
    """A swapper that is shown a picture of the identity, as RGB 0..1."""

    model_config = _STRICT

    kind: Literal["picture"]
    template: TemplateName
    size_px: Pixels


class SwapperFamily(BaseModel):
    """Networks that redraw an aligned face as somebody else.

    Attributes:
        size_px: side of the crop.
        template: how the crop is aligned.
        template_px: side of the crop that the template stands for, where the network's own is that
            one enlarged, so that a pixel becomes the middle of a block; None: the network's own.
        yaw_templates: whether it was trained on five alignments, one for each of five yaws; the
            one for the front is then arcface_112_v1.
        mean, std: RGB normalisation of the crop.
        denormalise: whether the output is in the input's normalised range; else it is 0..1.
        source: what it is told about the person.
    """

    model_config = _STRICT

    role: Literal["swapper"]
    size_px: Pixels
    template: TemplateName
    template_px: Pixels | None = None
    yaw_templates: bool = False
    mean: Triple = _ZERO
    std: Spread = _ONE
    denormalise: bool = False
    source: Annotated[EmbeddingSource | PictureSource, Field(discriminator="kind")]

    @model_validator(mode="after")
    def _front_is_the_template(self) -> Self:
        if self.yaw_templates and self.template != "arcface_112_v1":
            raise ValueError("yaw_templates need template: arcface_112_v1")
        return self

    @model_validator(mode="after")
    def _blocks_are_whole(self) -> Self:
        if self.template_px is not None and (self.size_px % self.template_px or self.yaw_templates):
            raise ValueError("template_px must divide size_px, and goes with one template only")
        return self


class DeepFaceFamily(BaseModel):
    """DeepFaceLab models (``.dfm``): one person each, channels last, BGR 0..1.

    The crop's size is read off the graph.
    """

    model_config = _STRICT

    role: Literal["deepface"]
    template: TemplateName


class DetectorFamily(BaseModel):
    """Networks that find faces and five points on each.

    Attributes:
        layout: how the outputs are to be read.
        size_px: side of the square input where the graph leaves it open.
        mean, std, colours: normalisation.
    """

    model_config = _STRICT

    role: Literal["detector"]
    layout: Literal["scrfd", "yunet", "yolo_face"]
    size_px: Pixels
    mean: Triple = _ZERO
    std: Spread = _ONE
    colours: Colours = "rgb"


class BlazeFaceFamily(BaseModel):
    """Detectors of the BlazeFace kind for faces: a box and six points, RGB -1..1.

    The range is read off the graph's input.
    """

    model_config = _STRICT

    role: Literal["blazeface"]


class FaceMeshFamily(BaseModel):
    """Networks that place 468 points in a turned square around a face, RGB 0..1, channels last."""

    model_config = _STRICT

    role: Literal["face_mesh"]


class RecogniserFamily(BaseModel):
    """Networks that turn an aligned face into a vector that stands for its identity."""

    model_config = _STRICT

    role: Literal["recogniser"]
    size_px: Pixels
    template: TemplateName
    mean: Triple
    std: Spread
    dimensions: Annotated[int, Field(gt=0)]
    colours: Colours = "rgb"


class LandmarkFamily(BaseModel):
    """Networks that place landmarks in a square around a face's box.

    Attributes:
        num_points: how many.
        size_px: side of the crop.
        box_scale: side of the crop over the longer side of the box.
        units: what the network's coordinates are: ``cells`` of a heat map of ``heatmap_px``,
            ``unit`` 0..1 across the crop, or ``centred`` -1..1.
        heatmap_px: side of the heat maps, for ``cells``; their peaks are the score.
        mean, std, colours: normalisation.
    """

    model_config = _STRICT

    role: Literal["landmarks"]
    num_points: Literal[68, 106]
    size_px: Pixels
    box_scale: Annotated[float, Field(gt=0)]
    units: Literal["cells", "unit", "centred"]
    heatmap_px: Pixels = 64
    mean: Triple = _ZERO
    std: Spread = _ONE
    colours: Colours = "rgb"


class MaskFamily(BaseModel):
    """Networks that say which pixels of an aligned face are to be replaced.

    Attributes:
        layout: ``occlusion``: channels last, one value that is 1 where the face is free;
            ``regions``: a score for each of 19 parts of a head (CelebAMask-HQ).
        size_px: side of the input.
        mean, std, colours: normalisation.
    """

    model_config = _STRICT

    role: Literal["mask"]
    layout: Literal["occlusion", "regions"]
    size_px: Pixels
    mean: Triple = _ZERO
    std: Spread = _ONE
    colours: Colours = "rgb"


class RestorerFamily(BaseModel):
    """Networks that sharpen an aligned face; -1..1 in and out.

    Attributes:
        size_px: side of the crop.
        template: how the crop is aligned.
    """

    model_config = _STRICT

    role: Literal["restorer"]
    size_px: Pixels
    template: TemplateName


class EnlargerFamily(BaseModel):
    """Super-resolution networks; RGB 0..1 in and out, of any size.

    Attributes:
        scale: how many times as many pixels along each side come out.
    """

    model_config = _STRICT

    role: Literal["enlarger"]
    scale: Literal[2, 4]


class FuserFamily(BaseModel):
    """Networks that make a drawn face belong to the picture, with a memory: FuseNet.

    RGB 0..1 on an aligned square crop, whose side is read off the graph; tensors go by their names.
    """

    model_config = _STRICT

    role: Literal["fuser"]


class ConverterFamily(BaseModel):
    """Networks that translate one recogniser's embedding into another's space."""

    model_config = _STRICT

    role: Literal["converter"]
    dimensions: Annotated[int, Field(gt=0)] = 512


Family = Annotated[
    SwapperFamily
    | DeepFaceFamily
    | DetectorFamily
    | BlazeFaceFamily
    | FaceMeshFamily
    | RecogniserFamily
    | LandmarkFamily
    | MaskFamily
    | RestorerFamily
    | EnlargerFamily
    | FuserFamily
    | ConverterFamily,
    Field(discriminator="role"),
]
