import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from realtime.errors import MediaError, SinkError
from realtime.frame import PictureSpec
from realtime.sinks.video import VideoFile
from realtime.sources.video import VideoFile as VideoSource
from realtime.stage import Sink

CLIPS = Path(__file__).parents[3].parent / "shared" / "assets" / "clips"
CHECKOUT = Path(__file__).parents[3]


def spec(width: int = 64, height: int = 48, rate_hz: Fraction | int = 30) -> PictureSpec:
    return PictureSpec(width, height, Fraction(rate_hz), live=False)


def flat(num: int, width: int = 64, height: int = 48) -> list[np.ndarray]:
    return [np.full((height, width, 3), 40 + 5 * i, np.uint8) for i in range(num)]


def write(path: Path, pictures, times_ns=None, of=None, **options) -> None:
    height, width = pictures[0].shape[:2]
    options = {"copy_audio_from": None, "force": False, "preset": "ultrafast"} | options
    sink = VideoFile(path, **options)
    sink.open(of or spec(width, height))
    for index, picture in enumerate(pictures):
        sink.send(picture, times_ns[index] if times_ns else round(index * 1e9 / 30))
    sink.close()


def carry(source_path: Path, path: Path, stop_after: int | None = None, **options) -> None:
    """Plays one file into another, as the engine does."""
    source = VideoSource(source_path)
    opened = source.open()
    image = np.empty((opened.height, opened.width, 3), np.uint8)
    options = {"preset": "ultrafast"} | options
    sink = VideoFile(path, copy_audio_from=source_path, force=False, **options)
    sink.open(opened)
    while (media_ns := source.fill(image)) is not None and stop_after != 0:
        sink.send(image, media_ns)
        stop_after = stop_after - 1 if stop_after else None
    sink.close()
    source.close()


def packets_of(path: Path, kind: str) -> list[tuple[Fraction, bytes]]:
    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[0]
        return [
            (packet.pts * packet.time_base, bytes(packet))
            for packet in container.demux(stream)
            if packet.pts is not None
        ]


def picture_times_s(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(frame.time) for frame in container.decode(video=0)]


def duration_s(path: Path) -> float:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return float(stream.duration * stream.time_base)


def refusal(sink: VideoFile) -> str:
    with pytest.raises(SinkError) as error:
        sink.open(spec())
    message = str(error.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


def test_a_video_file_is_a_sink(tmp_path) -> None:
    assert isinstance(VideoFile(tmp_path / "x.mp4", copy_audio_from=None, force=False), Sink)


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("preset", ["ultrafast", "veryfast"])
def test_the_times_it_is_given_are_the_times_of_the_file(tmp_path, suffix, preset) -> None:
    times_ns = [0, 33_333_333, 66_700_000, 400_000_000, 410_000_000, 1_000_000_000]
    path = tmp_path / f"out.{suffix}"
    write(path, flat(6), times_ns, preset=preset)
    tolerance_s = 0.0006 if suffix == "mkv" else 0.00002
    assert np.abs(np.array(picture_times_s(path)) - np.array(times_ns) / 1e9).max() < tolerance_s


def test_the_index_of_an_mp4_comes_first(tmp_path) -> None:
    write(tmp_path / "out.mp4", flat(5))
    data = (tmp_path / "out.mp4").read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_only_the_finished_file_has_the_name(tmp_path) -> None:
    sink = VideoFile(tmp_path / "out.mp4", copy_audio_from=None, force=False)
    sink.open(spec())
    sink.send(flat(1)[0], 0)
    assert [path.name for path in tmp_path.iterdir()] == ["out.part.mp4"]
    sink.close()
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    assert len(picture_times_s(tmp_path / "out.mp4")) == 1


def test_a_run_without_one_picture_leaves_nothing(tmp_path) -> None:
    sink = VideoFile(tmp_path / "out.mp4", copy_audio_from=None, force=False)
    sink.open(spec())
    sink.close()
    sink.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("width", "height"), [(64, 48), (1280, 720)])
def test_flat_colours_survive_within_two_levels_and_the_tags_say_how(
    tmp_path, width, height
) -> None:
    rng = np.random.default_rng(3)
    colours = rng.integers(0, 256, (height // 16, width // 16, 3), np.uint8)
    picture = np.ascontiguousarray(colours.repeat(16, axis=0).repeat(16, axis=1))
    path = tmp_path / "colour.mp4"
    write(path, [picture] * 2, crf=0)
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        tag = 1 if height >= 720 else 6
        assert (context.colorspace, context.color_primaries, context.color_trc) == (tag,) * 3
        assert context.color_range == 1
        assert container.streams.video[0].format.name == "yuv420p"
    source = VideoSource(path)
    source.open()
    shown = np.empty_like(picture)
    source.fill(shown)
    source.close()
    assert np.abs(shown[8::16, 8::16].astype(int) - colours).max() <= 2


def test_an_odd_size_gains_a_copy_of_its_last_column_and_row(tmp_path, caplog) -> None:
    picture = np.full((47, 33, 3), 60, np.uint8)
    picture[:, -1] = 200
    path = tmp_path / "odd.mp4"
    write(path, [picture] * 2, crf=0)
    assert "34×48" in caplog.text
    source = VideoSource(path)
    opened = source.open()
    shown = np.empty((48, 34, 3), np.uint8)
    source.fill(shown)
    source.close()
    assert (opened.width, opened.height) == (34, 48)
    assert np.abs(shown[:, 33].astype(int) - 200).max() <= 2
    assert np.abs(shown[47, :30].astype(int) - 60).max() <= 2


def test_times_that_stand_still_are_moved_on(tmp_path) -> None:
    write(tmp_path / "still.mp4", flat(4), [0, 0, 0, 40_000_000])
    times = picture_times_s(tmp_path / "still.mp4")
    assert len(times) == 4
    assert (np.diff(times) > 0).all()


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_sound_is_copied_bit_for_bit_with_its_times(write_video, tmp_path, suffix) -> None:
    source = write_video("in.mp4", flat(30), sound_s=1.0)
    carry(source, tmp_path / f"out.{suffix}")
    before, after = packets_of(source, "audio"), packets_of(tmp_path / f"out.{suffix}", "audio")
    assert [data for _, data in after] == [data for _, data in before]
    # Matroska has no times before zero: it moves everything by the encoder's priming of 21 ms.
    shift = after[0][0] - before[0][0]
    assert abs(shift) < (Fraction(3, 100) if suffix == "mkv" else Fraction(1, 10_000))
    assert all(
        abs(b - a - shift) < Fraction(2, 1000) for (a, _), (b, _) in zip(before, after, strict=True)
    )
    drift = np.array(picture_times_s(tmp_path / f"out.{suffix}")) - picture_times_s(source)
    assert np.abs(drift - float(shift)).max() < 0.002


def test_a_late_first_picture_stays_late_against_the_sound(write_video, tmp_path) -> None:
    pts = [45_000 + 3000 * index for index in range(15)]
    source = write_video("late.mkv", flat(15), pts=pts, sound_s=1.0)
    carry(source, tmp_path / "out.mp4")
    gap_before = picture_times_s(source)[0] - float(packets_of(source, "audio")[0][0])
    after = tmp_path / "out.mp4"
    gap_after = picture_times_s(after)[0] - float(packets_of(after, "audio")[0][0])
    assert gap_before == pytest.approx(gap_after, abs=0.003)


def test_sound_that_does_not_fit_the_container_is_encoded_anew(
    write_video, tmp_path, caplog
) -> None:
    source = write_video("in.avi", flat(30), sound_s=1.0, sound_codec="adpcm_ms")
    carry(source, tmp_path / "out.mp4")
    assert "encoded anew as AAC" in caplog.text
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
        samples = np.concatenate(
            [frame.to_ndarray().ravel() for frame in container.decode(audio=0)]
        )
    assert len(samples) / 48_000 == pytest.approx(1.0, abs=0.06)
    spectrum = np.abs(np.fft.rfft(samples[4800:43200]))
    assert np.argmax(spectrum) * 48_000 / 38_400 == pytest.approx(440, abs=3)


def test_a_run_that_is_cut_short_gets_the_sound_that_belongs_to_it(write_video, tmp_path) -> None:
    source = write_video("in.mp4", flat(30), sound_s=1.0)
    carry(source, tmp_path / "out.mp4", stop_after=15)
    times = [float(time) for time, _ in packets_of(tmp_path / "out.mp4", "audio")]
    assert 0.45 < max(times) <= 0.51


def test_the_whole_sound_is_kept_even_where_it_outlasts_the_pictures(write_video, tmp_path) -> None:
    source = write_video("in.mp4", flat(30), sound_s=1.7)
    carry(source, tmp_path / "out.mp4")
    assert len(packets_of(tmp_path / "out.mp4", "audio")) == len(packets_of(source, "audio"))


def test_an_input_without_sound_needs_no_special_word(write_video, tmp_path) -> None:
    source = write_video("in.mp4", flat(10))
    carry(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert not container.streams.audio


@pytest.mark.parametrize("num", [2, 4, 9])
@pytest.mark.parametrize("preset", ["ultrafast", "veryfast"])
def test_the_last_picture_lasts_as_long_as_in_the_input(tmp_path, preset, num) -> None:
    source = tmp_path / "in.mp4"
    times_ns = [*(33_333_333 * index for index in range(num - 1)), 300_000_000]
    write(source, flat(num), times_ns, of=spec(rate_hz=2))
    assert duration_s(source) == pytest.approx(0.8, abs=0.001)
    carry(source, tmp_path / "out.mp4", preset=preset)
    assert duration_s(tmp_path / "out.mp4") == pytest.approx(0.8, abs=0.002)


@pytest.mark.parametrize(("rotation", "shape"), [(0, Fraction(4, 3)), (90, Fraction(3, 4))])
def test_pixels_that_are_not_square_stay_so(write_video, tmp_path, rotation, shape) -> None:
    source = write_video("in.mp4", flat(3), pixel_shape=Fraction(4, 3), rotation=rotation)
    carry(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == shape


def test_missing_sound_source_is_an_error_before_anything_is_written(tmp_path) -> None:
    sink = VideoFile(tmp_path / "out.mp4", copy_audio_from=tmp_path / "none.mp4", force=False)
    with pytest.raises(MediaError):
        sink.open(spec())
    assert list(tmp_path.iterdir()) == []


def test_a_part_that_an_earlier_run_left_is_kept_without_force(tmp_path) -> None:
    part = tmp_path / "out.part.mp4"
    part.write_bytes(b"what was saved when the disk was full")
    refused = VideoFile(tmp_path / "out.mp4", copy_audio_from=None, force=False)
    assert "out.part.mp4" in refusal(refused)
    taken = VideoFile(tmp_path / "out.mp4", copy_audio_from=part, force=True)
    assert "the input" in refusal(taken)
    assert part.read_bytes() == b"what was saved when the disk was full"


def test_an_existing_output_is_kept_without_force(tmp_path) -> None:
    path = tmp_path / "out.mp4"
    path.write_text("precious")
    assert "--force" in refusal(VideoFile(path, copy_audio_from=None, force=False))
    assert path.read_text() == "precious"
    write(path, flat(2), force=True)
    assert len(picture_times_s(path)) == 2


def test_the_input_is_never_written_over(write_video, tmp_path) -> None:
    source = write_video("in.mp4", flat(2))
    link = tmp_path / "link.mp4"
    os.link(source, link)
    assert "the input" in refusal(VideoFile(link, copy_audio_from=source, force=True))


def test_a_folder_that_does_not_exist_or_is_a_file_is_said(tmp_path) -> None:
    missing = VideoFile(tmp_path / "none" / "out.mp4", copy_audio_from=None, force=False)
    assert "folder must exist" in refusal(missing)
    (tmp_path / "dir.mp4").mkdir()
    assert "got a folder" in refusal(
        VideoFile(tmp_path / "dir.mp4", copy_audio_from=None, force=True)
    )


def test_a_name_the_system_refuses_is_said(tmp_path) -> None:
    sink = VideoFile(tmp_path / ("x" * 300 + ".mp4"), copy_audio_from=None, force=False)
    assert "File name too long" in refusal(sink)


def test_a_place_that_cannot_be_written_is_said(tmp_path, monkeypatch) -> None:
    def refuse(*_args: object, **_options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", refuse)
    sink = VideoFile(tmp_path / "out.mp4", copy_audio_from=None, force=False)
    assert "Permission denied" in refusal(sink)


def noise(num: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (num, 240, 320, 3), np.uint8)


def send_all(sink: VideoFile, pictures: np.ndarray) -> None:
    for index, picture in enumerate(pictures):
        sink.send(picture, index * 33_333_333)


def test_a_disk_that_fills_up_leaves_a_playable_part(tmp_path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small disk takes root")
    try:
        sink = VideoFile(
            disk / "out.mp4", copy_audio_from=None, force=False, crf=1, preset="ultrafast"
        )
        sink.open(spec(320, 240))
        with pytest.raises(SinkError) as error:
            send_all(sink, noise(200))
        sink.close()
        assert "No space left" in str(error.value)
        assert str(disk / "out.part.mp4") in str(error.value)
        assert [path.name for path in disk.iterdir()] == ["out.part.mp4"]
        assert len(picture_times_s(disk / "out.part.mp4")) > 5
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_write_error_of_the_system_ends_in_one_sink_error(tmp_path) -> None:
    script = """
import resource, signal, sys
import numpy as np
from fractions import Fraction
from pathlib import Path
from realtime.errors import SinkError
from realtime.frame import PictureSpec
from realtime.sinks.video import VideoFile
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
sink = VideoFile(Path(sys.argv[1]), copy_audio_from=None, force=False, crf=1, preset="ultrafast")
sink.open(PictureSpec(320, 240, Fraction(30), live=False))
rng = np.random.default_rng(0)
try:
    for index in range(100):
        sink.send(rng.integers(0, 256, (240, 320, 3), np.uint8), index * 33_333_333)
    sink.close()
except SinkError as error:
    print(error)
sink.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "out.mp4"],
        capture_output=True,
        text=True,
        cwd=CHECKOUT,
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    assert "File too large" in done.stdout
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.shared
@pytest.mark.skipif(not CLIPS.is_dir(), reason="the development media are not here")
@pytest.mark.parametrize("name", ["lp_d0_greenscreen_smile.mp4", "fr_stage_mic_lowlight_crowd.mp4"])
def test_real_clips_keep_their_duration_times_and_sound(tmp_path, name) -> None:
    carry(CLIPS / name, tmp_path / "out.mp4")
    out = tmp_path / "out.mp4"
    drift = np.array(picture_times_s(out)) - picture_times_s(CLIPS / name)
    assert np.abs(drift).max() < 0.0001
    with av.open(str(out)) as after, av.open(str(CLIPS / name)) as before:
        assert after.duration == pytest.approx(before.duration, abs=30_000)
        assert len(after.streams.audio) == len(before.streams.audio)
