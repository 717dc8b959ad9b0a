"""The real networks on real clips that were doctored in known ways."""

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.pictures import load_picture
from realtime.sources.video import VideoFile
from tools.judge import arcface_from_image, open_judge
from tools.measures import FACE_MARGIN, ClipFaces, face_region
from tools.quality import main
from tools.seam_run import PLAIN

ASSETS = Path(__file__).parents[2].parent / "shared" / "assets"
CLIP = ASSETS / "clips" / "lp_d18_man_mouth_open.mp4"
FACE = ASSETS / "faces" / "synthetic" / "male_19.jpg"
NUM_FRAMES = 4

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def networks():
    if not ASSETS.is_dir():
        pytest.skip(f"{ASSETS} is not here")
    return open_judge()


@pytest.fixture(scope="module")
def pictures(networks):
    source = VideoFile(CLIP)
    spec = source.open()
    images = []
    for _ in range(NUM_FRAMES):
        image = np.empty((spec.height, spec.width, 3), np.uint8)
        source.fill(image)
        images.append(image)
    source.close()
    return images


@pytest.fixture
def judged(networks, pictures, write_clip, tmp_path, capsys):
    """Gives a function that judges an output of the clip: exit code, figures, passed bars."""

    def run(output, *options, **kwargs):
        before = write_clip("before.mkv", pictures)
        after = write_clip("after.mkv", output, **kwargs)
        report = tmp_path / "report.json"
        paths = ["--input", str(before), "--output", str(after), "--face", str(FACE)]
        code = main([*paths, "--json", str(report), *options])
        assert "before.mkv" in capsys.readouterr().out
        figures = json.loads(report.read_text())
        return code, figures["pairs"][0], {b["name"] for b in figures["bars"] if b["passed"]}

    return run


def place_of(networks, image):
    return ClipFaces(networks).look(image, 0).detection


def test_an_output_that_is_the_input_shows_the_target_and_keeps_all_else(judged, pictures):
    code, figures, passed = judged(pictures)
    assert code == 1
    assert figures["target_mean"] == pytest.approx(1, abs=1e-4)
    assert figures["leaks"] == figures["found"] == figures["judged"] == NUM_FRAMES
    assert figures["source_mean"] < 0.4
    assert figures["cheek"] == 0
    assert figures["outside_db"] == 99
    assert passed == {
        "cheek Lab distance, mean",
        "faces found, share of frames",
        "outside PSNR in dB, worst pair",
    }


def test_another_face_pasted_in_is_the_source_and_not_the_target(judged, networks, pictures):
    portrait = load_picture(FACE)
    (found, *_) = networks.detector.detect(portrait)
    output = []
    for image in pictures:
        place = place_of(networks, image)
        homogeneous = [
            np.vstack([arcface_from_image(points), [0, 0, 1]])
            for points in (place.points, found.points)
        ]
        image_from_portrait = (np.linalg.inv(homogeneous[0]) @ homogeneous[1])[:2]
        size = (image.shape[1], image.shape[0])
        moved = cv2.warpAffine(portrait, image_from_portrait, size)
        left, top, right, bottom = (round(float(side)) for side in place.box)
        mask = np.zeros(image.shape[:2], np.uint8)
        middle, half = ((left + right) // 2, (top + bottom) // 2), (right - left, bottom - top)
        cv2.ellipse(mask, middle, (half[0] // 2, half[1] // 2), 0, 0, 360, 255, -1)
        output.append(np.where(mask[..., None] > 0, moved, image))
    _, figures, passed = judged(output)
    assert figures["found"] == NUM_FRAMES
    assert figures["source_mean"] > 0.6
    assert figures["target_max"] < 0.3
    assert figures["margin"] == pytest.approx(figures["source_mean"] - figures["target_mean"])
    assert {"margin, mean", "frames with the target recognised"} <= passed


def test_a_tone_shifted_by_a_known_amount_is_measured(judged, pictures):
    output = []
    for image in pictures:
        lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_BGR2LAB)
        shifted = cv2.cvtColor(lab - np.float32([3, -2, 6]), cv2.COLOR_LAB2BGR)
        output.append(np.rint(np.clip(shifted, 0, 1) * 255).astype(np.uint8))
    _, figures, passed = judged(output)
    assert figures["cheek_frames"] == NUM_FRAMES
    assert figures["cheek"] == pytest.approx(7, abs=0.25)
    assert "cheek Lab distance, mean" not in passed


def test_noise_outside_the_face_has_its_psnr(judged, networks, pictures):
    rng = np.random.default_rng(1)
    output = []
    for image in pictures:
        left, top, right, bottom = face_region(place_of(networks, image).box, *image.shape[1::-1])
        signs = rng.choice(np.array([-6, 6]), image.shape)
        # Away from black and white the noise is not cut off.
        noisy = np.where((image >= 6) & (image <= 249), image + signs, image ^ 6)
        noisy[top:bottom, left:right] = image[top:bottom, left:right]
        output.append(noisy.astype(np.uint8))
    _, figures, passed = judged(output)
    expected = 10 * math.log10(255**2 / 36)
    assert FACE_MARGIN == 0.25
    assert figures["outside_db"] == pytest.approx(expected, abs=0.2)
    assert "outside PSNR in dB, worst pair" not in passed


def test_frames_that_lack_in_the_output_are_faces_not_found(judged, pictures):
    _, figures, passed = judged(pictures, skip=(1, 2))
    assert (figures["frames"], figures["missing"], figures["extra"]) == (NUM_FRAMES, 2, 0)
    assert (figures["with_face"], figures["found"]) == (NUM_FRAMES, 2)
    assert "faces found, share of frames" not in passed


def test_every_second_frame_and_the_first_tenth_of_a_second_can_do(judged, pictures):
    _, figures, _ = judged(pictures, "--every", "2")
    assert (figures["frames"], figures["judged"]) == (NUM_FRAMES, 2)
    _, figures, _ = judged(pictures, "--seconds", "0.06")
    assert (figures["frames"], figures["judged"]) == (2, 2)


@pytest.mark.parametrize("size", [(135, 240), (1080, 1920)])
def test_faces_are_found_at_any_size_of_the_picture(networks, pictures, size):
    height, width = size
    canvas = np.zeros((height, width, 3), np.uint8)
    canvas[:, :height] = cv2.resize(pictures[0], (height, height), interpolation=cv2.INTER_AREA)
    scale = height / pictures[0].shape[0]
    place = place_of(networks, canvas)
    assert place.box == pytest.approx(place_of(networks, pictures[0]).box * scale, abs=12 * scale)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give either"),
        (["--input", "a", "--output", "b"], "give either"),
        (["--matrix", "d", "--faces", "a", "--face", "b"], "give either"),
        (["--input", "a", "--output", "b", "--face", "c", "--sheet", "d"], "tools.contact_sheet"),
        (["--matrix", "d", "--faces", "a", "--every", "0"], "--every"),
        (["--matrix", "d", "--faces", "a", "--seconds", "0"], "--seconds"),
        (["--matrix", "d", "--faces", "a", "--sheet-at", "1.5"], "--sheet-at"),
        (["--matrix", "d", "--faces", "a", "--face-index", "-1"], "--face-index"),
        (["--matrix", "d", "--faces", "a", "--size", "240"], "--size"),
        (["--matrix", "d", "--faces", "a", "--steady", "--size", "8"], "--size"),
        (["--matrix", "d", "--faces", "a", "--steady", "--sheet", "b"], "--steady"),
        (["--input", "a", "--output", "b", "--face", "c", "--against", "a.b=1"], "--steady"),
        (["--input", "a", "--output", "b", "--face", "c", "--seam"], "--seam"),
        (["--matrix", "d", "--faces", "a", "--seam", "--steady"], "--seam"),
    ],
)
def test_options_that_make_no_sense_end_it_with_two(options, message, capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(options)
    assert exit_info.value.code == 2
    assert message in capsys.readouterr().err


def test_two_faces_of_one_name_are_refused(networks, capsys):
    faces = f"{FACE},{FACE}"
    assert main(["--matrix", str(CLIP.parent), "--faces", faces]) == 2
    assert "must differ" in capsys.readouterr().err


def test_two_faces_of_one_name_are_refused_for_seams_too(capsys):
    assert main(["--matrix", str(CLIP.parent), "--faces", f"{FACE},{FACE}", "--seam"]) == 2
    assert "must differ" in capsys.readouterr().err


@pytest.fixture
def one_clip(pictures, write_clip, tmp_path, monkeypatch):
    """A folder with one clip; consents are written elsewhere than usual."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    folder = tmp_path / "clips"
    folder.mkdir()
    write_clip("one.mkv", pictures).rename(folder / "one.mkv")
    return folder


@pytest.mark.models
def test_rims_are_held_against_plain_feathering(networks, one_clip, tmp_path, capsys):
    report = tmp_path / "report.json"
    options = ["--matrix", str(one_clip), "--faces", str(FACE), "--consent", "synthetic", "--seam"]
    code = main([*options, "--every", "2", "--json", str(report)])
    figures = json.loads(report.read_text())
    own, plain = figures["seams"]
    assert code == (0 if figures["passed"] else 1)
    assert (own["setting"], plain["setting"]) == ("as set", " ".join(PLAIN))
    assert own["frames"] == plain["frames"] == NUM_FRAMES // 2
    assert own["difference"] == pytest.approx(plain["difference"], rel=0.02)
    assert own["energy"] < 0.7 * plain["energy"]
    assert "seam energy" in capsys.readouterr().out


def test_missing_networks_are_told_in_one_line(tmp_path, capsys):
    paths = ["--input", str(CLIP), "--output", str(CLIP), "--face", str(FACE)]
    assert main([*paths, "--models", str(tmp_path)]) == 5
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.models
def test_the_engine_itself_is_judged_clip_by_clip(networks, one_clip, tmp_path, capsys):
    report, sheet = tmp_path / "report.json", tmp_path / "sheet.png"
    options = ["--matrix", str(one_clip), "--faces", str(FACE), "--consent", "synthetic"]
    code = main([*options, "--every", "2", "--json", str(report), "--sheet", str(sheet)])
    figures = json.loads(report.read_text())
    (pair,) = figures["pairs"]
    assert code == (0 if figures["passed"] else 1)
    assert (pair["face"], pair["clip"]) == ("male_19.jpg", "one.mkv")
    assert (pair["frames"], pair["judged"]) == (NUM_FRAMES, NUM_FRAMES // 2)
    assert (pair["missing"], pair["extra"], pair["leaks"]) == (0, 0, 0)
    assert cv2.imread(str(sheet)) is not None


@pytest.mark.models
def test_the_engine_is_held_against_the_motion_of_its_input_under_two_settings(
    networks, one_clip, tmp_path, capsys
):
    report = tmp_path / "report.json"
    options = ["--matrix", str(one_clip), "--faces", str(FACE), "--consent", "synthetic"]
    options += ["--against", "swap.shape=0", "--size", "240", "--json", str(report)]
    code = main([*options, "--every", "2"])
    figures = json.loads(report.read_text())
    own, reference = figures["pairs"]
    assert code == (0 if figures["passed"] else 1)
    assert (own["setting"], reference["setting"]) == ("as set", "swap.shape=0")
    for pair in (own, reference):
        assert (pair["pairs"], pair["frames"], pair["judged"]) == (NUM_FRAMES - 1, NUM_FRAMES, 2)
        assert (pair["missing"], pair["missing_pairs"]) == (0, 0)
        assert pair["ratio"] > 0.5
        # The invisible mark stays where it is while this all but noiseless picture moves.
        assert 0.7 < pair["outside_ratio"] < 10
    assert own["input_error"] == reference["input_error"]
    assert own["output_error"] != reference["output_error"]
    assert "swap.shape=0" in capsys.readouterr().out
