import numpy as np
import pytest

from realtime.errors import EngineError
from realtime.face_mesh import (
    BROW_LINE,
    INNER_LIPS,
    LEFT_BROW,
    LEFT_EYE,
    NUM_POINTS,
    OPENINGS,
    OUTER_LIPS,
    OVAL,
    RIGHT_BROW,
    RIGHT_EYE,
    load_face_mesh,
)

models = pytest.mark.models

FOREHEAD, RIGHT_CHEEK, LEFT_CHEEK, NOSE_TIP = 9, 50, 280, 4


def as_text(edges):
    return f"FACEMESH_TESSELATION = frozenset([{', '.join(map(str, edges))}])"


def edges_of(triangles):
    return [(int(a), int(b)) for t in triangles for a, b in zip(t, np.roll(t, -1), strict=True)]


def turned(points, yaw):
    angle = np.radians(yaw)
    about_y = np.array(
        [[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]]
    )
    return (points @ about_y.T).astype(np.float32)


def count_edges(triangles):
    """How many triangles lie at each edge."""
    counts = {}
    for edge in edges_of(triangles):
        counts[frozenset(edge)] = counts.get(frozenset(edge), 0) + 1
    return counts


@models
def test_a_list_written_anew_gives_the_same_mesh(mesh):
    again = load_face_mesh(as_text(edges_of(mesh.skin)))
    np.testing.assert_array_equal(again.skin, mesh.skin)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no list at all",
        "FACEMESH_TESSELATION = frozenset([])",
        "FACEMESH_TESSELATION = frozenset([(0, 1), (1, 2), (2, 0)])",
        "FACEMESH_TESSELATION = frozenset([(0, 1), (1,",
        "FACEMESH_TESSELATION = frozenset([(0, 1), (1, 2), (2])",
        "FACEMESH_TESSELATION = frozenset([(0, 1), (1, 2, 3)])",
        "FACEMESH_TESSELATION = frozenset([('a', 'b')])",
        "FACEMESH_TESSELATION = frozenset([{}])",
        "FACEMESH_TESSELATION = frozenset([(99999999999, 1)])",
        "FACEMESH_TESSELATION = frozenset([\x00])",
        as_text([(i, i + 1) for i in range(2556)]),
    ],
    ids=lambda text: text[:60],
)
def test_a_list_that_is_not_one_of_triangles_is_refused_in_one_line(text):
    with pytest.raises(EngineError, match=r"^face mesh: ") as caught:
        load_face_mesh(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("far", [468, 32767, -1])
@models
def test_a_list_with_points_that_are_no_landmarks_is_refused(mesh, far):
    triangles = mesh.skin.copy()
    triangles[-1, 1] = far
    with pytest.raises(EngineError, match="face mesh"):
        load_face_mesh(as_text(edges_of(triangles)))


@pytest.mark.parametrize("hostile", ["open({!r}, 'w')", "__import__('os').mkdir({!r})"])
def test_the_list_is_never_run(hostile, tmp_path):
    trace = tmp_path / "trace"
    call = hostile.format(str(trace))
    for text in (
        f"FACEMESH_TESSELATION = frozenset([{call}])",
        f"{call}\nFACEMESH_TESSELATION = frozenset([(0, 1)])",
        f"FACEMESH_TESSELATION = frozenset([(0, {call})])",
    ):
        with pytest.raises(EngineError):
            load_face_mesh(text)
    assert not trace.exists()


@models
def test_the_skin_has_852_triangles_of_which_every_landmark_is_part(mesh):
    assert mesh.skin.shape == (852, 3)
    assert mesh.skin.dtype == np.int32
    assert set(mesh.skin.ravel().tolist()) == set(range(NUM_POINTS))


@models
def test_the_skin_ends_at_the_outline_and_at_the_openings_only(mesh):
    ends = {edge for edge, count in count_edges(mesh.skin).items() if count == 1}
    rings = (*OPENINGS, OVAL)
    expected = {frozenset((ring[i - 1], ring[i])) for ring in rings for i in range(len(ring))}
    assert ends == expected
    assert max(count_edges(mesh.skin).values()) == 2


@models
def test_the_closed_mesh_ends_at_the_outline_only(mesh):
    assert mesh.closed.shape == (898, 3)
    assert mesh.closed.flags.c_contiguous
    np.testing.assert_array_equal(mesh.closed[:852], mesh.skin)
    ends = {edge for edge, count in count_edges(mesh.closed).items() if count == 1}
    assert ends == {frozenset((OVAL[i - 1], OVAL[i])) for i in range(len(OVAL))}
    assert max(count_edges(mesh.closed).values()) == 2


@models
def test_the_face_spread_flat_folds_nowhere(mesh):
    a, b, c = (mesh.layout[mesh.closed[:, i]].astype(np.float64) for i in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1])
    skin = area[:852]
    assert (np.sign(skin) == np.sign(skin[0])).all()
    assert mesh.layout.min() > 0
    assert mesh.layout.max() < 1


@models
def test_the_other_side_of_the_other_side_is_this_side(mesh):
    np.testing.assert_array_equal(mesh.mirror[mesh.mirror], np.arange(NUM_POINTS))
    for one, other in ((RIGHT_EYE, LEFT_EYE), (RIGHT_BROW, LEFT_BROW)):
        assert set(mesh.mirror[list(one)]) == set(other)
    for ring in (INNER_LIPS, OUTER_LIPS, OVAL, BROW_LINE):
        assert set(mesh.mirror[list(ring)]) == set(ring)


@models
def test_layout_and_neutral_face_are_symmetric(mesh):
    other = mesh.layout[mesh.mirror]
    np.testing.assert_allclose(other[:, 0], 1 - mesh.layout[:, 0], atol=1e-6)
    np.testing.assert_allclose(other[:, 1], mesh.layout[:, 1], atol=1e-6)
    np.testing.assert_allclose(mesh.neutral[mesh.mirror] * (-1, 1, 1), mesh.neutral, atol=1e-6)


@models
def test_the_skin_is_the_same_on_both_sides(mesh):
    def sorted_rows(triangles):
        return sorted(tuple(sorted(row)) for row in triangles.tolist())

    there = set(sorted_rows(mesh.skin))
    mirrored = sorted_rows(mesh.mirror[mesh.skin])
    # Squares of the mesh may be split along the other diagonal.
    assert sum(row in there for row in mirrored) > 0.8 * len(there)


@models
def test_the_neutral_face_looks_into_the_camera(mesh):
    left, right = mesh.neutral[263], mesh.neutral[33]
    assert left[0] - right[0] == pytest.approx(0.95, abs=0.01)
    assert mesh.neutral[NOSE_TIP, 2] < mesh.neutral[OVAL, 2].mean()
    facing = mesh.facing(mesh.neutral)
    assert facing.shape == (NUM_POINTS,)
    assert facing.dtype == np.float32
    assert facing[[FOREHEAD, NOSE_TIP]].min() > 0.95
    assert facing[[RIGHT_CHEEK, LEFT_CHEEK]].min() > 0.6
    assert np.abs(facing).max() <= 1 + 1e-6


@models
@pytest.mark.parametrize("yaw", [-60, -35, -15, 15, 35, 60])
def test_skin_turns_away_with_the_cosine_of_the_yaw(mesh, yaw):
    facing = mesh.facing(turned(mesh.neutral, yaw))
    ahead = mesh.facing(mesh.neutral)[FOREHEAD]
    assert facing[FOREHEAD] == pytest.approx(ahead * np.cos(np.radians(yaw)), abs=1e-5)
    # A nose that points to the picture's right takes the cheek there away from the camera.
    near, far = (RIGHT_CHEEK, LEFT_CHEEK) if yaw > 0 else (LEFT_CHEEK, RIGHT_CHEEK)
    assert facing[near] > facing[far]
    assert (facing[far] < 0.3) == (abs(yaw) > 30)


@models
def test_turning_to_either_side_is_the_same_mirrored(mesh):
    right, left = (mesh.facing(turned(mesh.neutral, yaw)) for yaw in (25, -25))
    # Where squares are split along different diagonals the normals differ a little.
    assert np.abs(right - left[mesh.mirror]).mean() < 0.02
    assert np.median(np.abs(right - left[mesh.mirror])) < 0.005


@models
def test_facing_does_not_depend_on_size_or_place(mesh):
    far = (mesh.neutral * 120 + (300, -50, 900)).astype(np.float32)
    np.testing.assert_allclose(mesh.facing(far), mesh.facing(mesh.neutral), atol=1e-3)


@models
def test_facing_of_points_that_all_coincide_is_nothing(mesh):
    assert not mesh.facing(np.ones((NUM_POINTS, 3), np.float32)).any()
