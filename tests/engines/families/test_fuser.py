import numpy as np
import pytest

from engines.errors import ModelError
from engines.families.fuser import MEMORIES, Fuser, bind_fuser
from engines.onnxruntime import OnnxRuntimeSession
from engines.session import TensorSpec

SIDE = 32


def opened(twins, **settings):
    return Fuser(OnnxRuntimeSession(twins.fuser(SIDE, **settings)))


def filled(fuser, seed=3):
    """Fills the inputs with values between 0 and 1, and poisons the outputs."""
    random = np.random.default_rng(seed)
    for values in fuser.inputs.values():
        values[...] = random.random(values.shape)
    for values in fuser.outputs.values():
        values[...] = 77.0
    return {name: values.astype(np.float64) for name, values in fuser.inputs.items()}


def in_squares(planes, step):
    return planes.repeat(step, axis=2).repeat(step, axis=3)


def means(planes, step):
    parts = planes.reshape(1, -1, SIDE // step, step, SIDE // step, step)
    return parts.mean(axis=(3, 5))


def test_every_output_is_what_the_network_makes_of_all_inputs(twins):
    fuser = opened(twins, added=(0.1, 0.2, 0.3), share=0.5, echo=0.25, echo_8=0.125)
    given = filled(fuser)
    fuser.run()
    image = given["render"] + np.reshape([0.1, 0.2, 0.3], (1, 3, 1, 1))
    image += 0.25 * in_squares(given["confidence"] * given["memory_4"][:, :3], 4)
    image += 0.125 * in_squares(given["memory_8"][:, :3], 8)
    wanted = {
        "image": image,
        "blend": 0.5 * (1 - given["keep"]),
        "next_memory_4": np.hstack([means(given[name], 4) for name in ("context", "keep")]),
        "next_memory_8": np.hstack(
            [means(given[name], 8) for name in ("context", "render", "validity", "keep")]
        ),
    }
    assert set(fuser.outputs) == set(wanted)
    for name, values in wanted.items():
        np.testing.assert_allclose(fuser.outputs[name], values, atol=1e-6)


def test_sizes_are_read_off_the_graph_and_all_inputs_begin_at_zero(twins):
    fuser = opened(twins)
    assert fuser.side_px == SIDE
    assert fuser.inputs["memory_4"].shape == (1, 4, 8, 8)
    assert fuser.inputs["memory_8"].shape == (1, 8, 4, 4)
    assert not any(values.any() for values in fuser.inputs.values())
    for name, following in MEMORIES.items():
        assert fuser.inputs[name].shape == fuser.outputs[following].shape


def test_values_that_are_no_numbers_are_refused(twins):
    fuser = opened(twins, broken=True)
    filled(fuser)
    with pytest.raises(ModelError, match=r"image must consist of numbers"):
        fuser.run()


def changed(specs, name, values):
    return tuple(
        TensorSpec(
            values.get("name", spec.name),
            values.get("shape", spec.shape),
            np.dtype(values.get("dtype", spec.dtype)),
        )
        if spec.name == name
        else spec
        for spec in specs
    )


@pytest.mark.parametrize(
    ("tensor", "change", "message"),
    [
        ("render", {"shape": (1, 3, -1, -1)}, r"input render of shape 1×3×S×S.*, got 1×3×\?×\?"),
        ("render", {"shape": (1, 3, 36, 36)}, r"S a multiple of 8, got 1×3×36×36"),
        ("render", {"name": "picture"}, r"input render .* got none"),
        ("keep", {"shape": (1, 3, 32, 32)}, r"must have keep of shape 1×1×32×32 float32, got 1×3"),
        ("context", {"dtype": "float16"}, r"context .* got 1×3×32×32 float16"),
        ("confidence", {"shape": (1, 1, 32, 32)}, r"confidence of shape 1×1×8×8"),
        ("memory_8", {"shape": (1, -1, 4, 4)}, r"memory_8 of shape"),
        ("next_memory_4", {"shape": (1, 5, 8, 8)}, r"next_memory_4 of shape 1×4×8×8"),
        ("blend", {"name": "mask"}, r"blend of shape .* got none"),
    ],
)
def test_a_network_with_another_signature_is_refused_with_what_is_wrong(
    twins, tensor, change, message
):
    session = OnnxRuntimeSession(twins.fuser(SIDE))
    bind_fuser(session.inputs, session.outputs, "net")
    with pytest.raises(ModelError, match=rf"^net: .*{message}"):
        bind_fuser(
            changed(session.inputs, tensor, change),
            changed(session.outputs, tensor, change),
            "net",
        )


def test_a_network_with_one_more_input_is_refused(twins):
    session = OnnxRuntimeSession(twins.fuser(SIDE))
    more = (*session.inputs, TensorSpec("more", (1, 1), np.dtype(np.float32)))
    with pytest.raises(ModelError, match="must have 7 inputs, got 8"):
        bind_fuser(more, session.outputs, "net")
