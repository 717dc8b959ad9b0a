from dataclasses import replace
from pathlib import Path

import pytest

from realtime.errors import UsageError
from realtime.job import FaceChoice, FaceMap, Job, describe, parse_face, parse_maps, plan_job


def plan(**options: object) -> Job:
    defaults: dict[str, object] = {
        "camera": None,
        "input_path": None,
        "faces": ("me.png",),
        "output": None,
        "virtual_camera": None,
        "force": False,
        "seconds": None,
        "consent": None,
        "stats": None,
    }
    return plan_job(**(defaults | options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "exactly one of them must be given, got neither"),
        ({"camera": "0", "input_path": Path("a.mp4")}, "got both"),
        ({"camera": "0", "faces": ()}, "--face: a picture of the face must be given"),
        ({"camera": "0", "faces": ("synthetic", "me.png")}, "must be the only face"),
        ({"input_path": Path("a.mp4")}, "--input: an output must be given"),
        ({"input_path": Path("a.mp4"), "output": "b.png"}, "a picture can be written only from"),
        ({"camera": "0", "output": "b.jpg"}, "a picture can be written only from"),
        ({"camera": "0", "faces": ("me.png#0",)}, "must be a number from 1, got '0'"),
        ({"camera": "0", "faces": ("me.png#x",)}, "must be a number from 1, got 'x'"),
        ({"camera": "0", "no_label": True}, "add --i-understand-labelling-duties"),
        ({"camera": "0", "duties_understood": True}, "must stand beside --no-label"),
        ({"camera": "0", "upscale": True}, "--upscale: must be used from a file to a file"),
        (
            {"input_path": Path("a.mp4"), "virtual_camera": "", "upscale": True},
            "--upscale: must be used from a file to a file",
        ),
    ],
)
def test_options_that_make_no_sense_together_are_refused(options: dict[str, object], message: str):
    with pytest.raises(UsageError, match=message) as error:
        plan(**options)
    assert error.value.exit_code == 2


def test_a_camera_goes_to_the_first_virtual_camera_unless_an_output_is_named():
    assert plan(camera="0").virtual_camera == ""
    assert plan(camera="0", output="null").virtual_camera is None
    recorded = plan(camera="0", output="out.mp4", virtual_camera="/dev/video10")
    assert (recorded.output, recorded.virtual_camera) == (Path("out.mp4"), "/dev/video10")


def test_the_null_output_keeps_nothing():
    job = plan(camera="0", output="null")
    assert job.discard
    assert job.output is None


@pytest.mark.parametrize(
    ("options", "mode"),
    [
        ({"camera": "0"}, "live"),
        ({"camera": "0", "output": "out.mp4"}, "live"),
        ({"input_path": Path("a.mp4"), "output": "out.mp4"}, "file"),
        ({"input_path": Path("a.mp4"), "output": "null"}, "file"),
        ({"input_path": Path("a.mp4"), "virtual_camera": ""}, "live"),
        ({"input_path": Path("a.png"), "output": "out.mp4"}, "file"),
        ({"input_path": Path("a.png"), "output": "out.jpg"}, "picture"),
    ],
)
def test_the_mode_follows_from_input_and_output(options: dict[str, object], mode: str):
    assert plan(**options).mode == mode


def test_the_synthetic_camera_without_a_pace_is_worked_on_like_a_file():
    assert replace(plan(camera="synthetic", output="out.mp4"), unpaced=True).mode == "file"


def test_the_synthetic_face_needs_no_picture():
    assert plan(camera="0", faces=("synthetic",)).faces == ()


def test_a_face_may_be_chosen_by_number():
    assert parse_face("a/me.png#2") == FaceChoice(Path("a/me.png"), 2)
    assert parse_face("me.png") == FaceChoice(Path("me.png"))


def test_a_number_sign_in_an_existing_name_stays_in_the_name(tmp_path: Path):
    path = tmp_path / "me#2"
    path.write_bytes(b"")
    assert parse_face(str(path)) == FaceChoice(path)
    assert parse_face(f"{path}#3") == FaceChoice(path, 3)


def test_the_input_is_never_written_over(tmp_path: Path):
    clip = tmp_path / "a.mp4"
    clip.write_bytes(b"")
    (tmp_path / "b.mp4").hardlink_to(clip)
    for name in ("a.mp4", "b.mp4", "../" + tmp_path.name + "/a.mp4"):
        with pytest.raises(UsageError, match="must not be the input"):
            plan(input_path=clip, output=str(tmp_path / name), virtual_camera="", force=True)


def test_a_map_is_a_person_and_the_faces_they_get():
    maps = parse_maps(["a.png#2=me.png", "b.png=other.png", "a.png#2=me2.png"])
    assert maps == (
        FaceMap(
            FaceChoice(Path("a.png"), 2), (FaceChoice(Path("me.png")), FaceChoice(Path("me2.png")))
        ),
        FaceMap(FaceChoice(Path("b.png")), (FaceChoice(Path("other.png")),)),
    )


def test_a_person_may_get_the_face_that_comes_with_the_program():
    assert parse_maps(["a.png=synthetic"]) == (FaceMap(FaceChoice(Path("a.png")), ()),)
    with pytest.raises(UsageError, match="synthetic must be the only face"):
        parse_maps(["a.png=synthetic", "a.png=me.png"])


@pytest.mark.parametrize("text", ["a.png", "=me.png", "a.png=", "="])
def test_a_map_without_two_pictures_is_refused(text: str):
    with pytest.raises(UsageError, match="must be two pictures"):
        parse_maps([text])


def test_people_are_those_of_the_maps_and_then_the_face_for_all_others():
    def people(faces: tuple[str, ...] = (), maps: tuple[str, ...] = ()) -> object:
        return plan(camera="0", faces=faces, maps=maps).people

    me, other = (FaceChoice(Path("me.png")),), (FaceChoice(Path("other.png")),)
    assert people(("me.png",)) == (me,)
    assert people(("synthetic",)) == ((),)
    assert people((), ("a.png=me.png",)) == (me,)
    assert people(("other.png",), ("a.png=me.png",)) == (me, other)
    with pytest.raises(UsageError, match="--face: a picture of the face must be given"):
        people()


def test_the_label_is_shown_unless_the_person_answers_for_that():
    assert plan(camera="0").show_label
    assert not plan(camera="0", no_label=True, duties_understood=True).show_label


def test_a_job_is_described_in_a_few_words():
    both = plan(camera="0", output="out.mp4", virtual_camera="")
    assert describe(both) == "camera 0 to out.mp4 and virtual camera"
    assert describe(plan(input_path=Path("a.mp4"), output="null")) == "a.mp4 to null"
