import gc
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from realtime.errors import MediaError
from realtime.sources.video import VideoFile
from realtime.stage import Source

CLIPS = Path(__file__).parents[3].parent / "shared" / "assets" / "clips"
EXACT = {"crf": "0"}


def flat(num: int, width: int = 64, height: int = 48):
    """Flat gray pictures, brighter from one to the next."""
    return [
        np.full((height, width, 3), 40 + 170 * i // max(1, num - 1), np.uint8) for i in range(num)
    ]


def play(path: Path) -> tuple[object, list[int], list[np.ndarray]]:
    source = VideoFile(path)
    spec = source.open()
    times, pictures = [], []
    image = np.empty((spec.height, spec.width, 3), np.uint8)
    while (media_ns := source.fill(image)) is not None:
        times.append(media_ns)
        pictures.append(image.copy())
        image[:] = 99
    source.close()
    return spec, times, pictures


def refusal(path: Path) -> str:
    with pytest.raises(MediaError) as error:
        VideoFile(path).open()
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    assert message.endswith(".")
    return message


def test_a_video_file_is_a_source() -> None:
    assert isinstance(VideoFile("x.mp4"), Source)


def test_pictures_come_in_order_with_their_times(write_video) -> None:
    path = write_video("plain.mp4", flat(12), options=EXACT, rate_hz=Fraction(30000, 1001))
    spec, times, pictures = play(path)
    assert (spec.width, spec.height, spec.num_frames, spec.live) == (64, 48, 12, False)
    assert spec.rate_hz == Fraction(30000, 1001)
    assert np.abs(np.diff(times) - 1001e9 / 30000).max() < 20_000
    assert times[0] == 0
    means = [picture.mean() for picture in pictures]
    assert np.abs(np.array(means) - [picture.mean() for picture in flat(12)]).max() <= 2


def test_variable_frame_rate_keeps_the_times_of_the_file(write_video) -> None:
    pts = [9000, 12000, 30000, 30900, 75000, 90000]
    _, times, _ = play(write_video("vfr.mp4", flat(6), pts=pts))
    assert times == [round((p - 9000) * 1e9 / 90000) for p in pts]


@pytest.mark.parametrize(
    ("rotation", "corner"), [(0, (0, 0)), (90, (-1, 0)), (180, (-1, -1)), (-90, (0, -1))]
)
def test_the_rotation_of_the_file_is_applied(write_video, rotation, corner) -> None:
    picture = np.full((48, 64, 3), 60, np.uint8)
    picture[:12, :12] = 240
    path = write_video("turned.mp4", [picture] * 2, rotation=rotation, options=EXACT)
    spec, _, pictures = play(path)
    assert (spec.width, spec.height) == ((64, 48) if rotation in (0, 180) else (48, 64))
    bright = {
        (y, x): int(pictures[0][3 if y == 0 else -4, 3 if x == 0 else -4].mean())
        for y in (0, -1)
        for x in (0, -1)
    }
    assert bright[corner] > 230
    assert sorted(bright.values())[2] < 70


@pytest.mark.parametrize(
    ("pix_fmt", "colorspace", "color_range"),
    [
        ("yuv420p", 1, 1),
        ("yuv420p", 6, 1),
        ("yuv420p", 6, 2),
        ("yuv420p", 1, 2),
        ("yuv422p", 1, 1),
        ("yuv444p", 1, 1),
        ("yuv420p10le", 6, 1),
        ("yuv420p10le", 1, 2),
        ("yuv422p10le", 1, 1),
        ("yuv444p16le", 1, 1),
        ("yuva420p", 6, 1),
        ("bgr0", 0, 2),
        ("gray", 6, 2),
    ],
)
def test_every_pixel_format_gives_the_right_colours(
    write_video, pix_fmt, colorspace, color_range
) -> None:
    colour = (90, 90, 90) if pix_fmt == "gray" else (40, 70, 200)
    picture = np.full((48, 64, 3), colour, np.uint8)
    picture[24:] = 128
    path = write_video(
        "colour.mkv",
        [picture] * 2,
        codec="ffv1",
        pix_fmt=pix_fmt,
        colorspace=colorspace,
        color_range=color_range,
    )
    _, _, pictures = play(path)
    assert len(pictures) == 2
    for shown in pictures:
        assert np.abs(shown[8, 8].astype(int) - colour).max() <= 4
        assert np.abs(shown[40, 40].astype(int) - 128).max() <= 3


def test_odd_sizes_are_kept(write_video) -> None:
    picture = np.full((47, 33, 3), (40, 70, 200), np.uint8)
    spec, _, pictures = play(write_video("odd.mkv", [picture] * 3, codec="ffv1"))
    assert (spec.width, spec.height) == (33, 47)
    assert np.abs(pictures[2].astype(int) - (40, 70, 200)).max() <= 4


def test_times_are_made_up_where_the_file_has_none(write_video, tmp_path) -> None:
    raw = write_video("raw.h264", flat(8), options={"bf": "0"})
    spec, times, pictures = play(raw)
    assert len(pictures) == 8
    assert times[0] == 0
    assert (np.diff(times) > 0).all()
    assert np.abs(np.diff(times) - spec.period_ns).max() <= 2


def test_a_change_of_size_is_letterboxed(write_video, tmp_path) -> None:
    wide = write_video("wide.h264", [np.full((32, 64, 3), 200, np.uint8)] * 3)
    high = write_video("high.h264", [np.full((64, 32, 3), 200, np.uint8)] * 3)
    both = tmp_path / "both.h264"
    both.write_bytes(wide.read_bytes() + high.read_bytes())
    spec, _, pictures = play(both)
    assert (spec.width, spec.height) == (64, 32)
    assert len(pictures) == 6
    assert np.abs(pictures[0].astype(int) - 200).max() <= 3
    last = pictures[-1].astype(int)
    assert np.abs(last[:, 24:40] - 200).max() <= 3
    assert last[:, :24].max() == last[:, 40:].max() == 0


def test_a_cut_off_file_plays_as_far_as_it_goes(write_video) -> None:
    path = write_video("cut.mkv", flat(40), options={"g": "5"})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    _, times, pictures = play(path)
    assert 5 <= len(pictures) < 40
    assert (np.diff(times) > 0).all()


def test_damage_in_the_middle_does_not_end_the_stream(write_video) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 48, 64, 3), np.uint8)
    path = write_video("hurt.mkv", list(noise), options={"g": "4"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = np.random.default_rng(1).bytes(3000)
    path.write_bytes(data)
    _, times, pictures = play(path)
    assert len(pictures) >= 30
    assert (np.diff(times) > 0).all()


def test_a_file_cut_off_before_its_index_is_refused(write_video) -> None:
    path = write_video("noindex.mp4", flat(10))
    path.write_bytes(path.read_bytes()[:600])
    assert "cut-off" in refusal(path)


def test_an_empty_file_is_refused(tmp_path) -> None:
    (tmp_path / "empty.mp4").touch()
    assert "empty file" in refusal(tmp_path / "empty.mp4")


def test_a_missing_file_is_refused(tmp_path) -> None:
    assert "no such file" in refusal(tmp_path / "missing.mp4")


def test_a_folder_is_refused(tmp_path) -> None:
    assert "a folder" in refusal(tmp_path)


def test_text_is_refused(tmp_path) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("This is not a film.\n" * 100)
    assert "must be a video file" in refusal(path)


def test_a_playlist_cannot_lead_to_other_files(write_video, tmp_path) -> None:
    write_video("secret.ts", flat(5))
    path = tmp_path / "list.m3u8"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.ts\n#EXT-X-ENDLIST\n")
    assert "must be a video file" in refusal(path)
    concat = tmp_path / "list.ffconcat"
    concat.write_text("ffconcat version 1.0\nfile secret.ts\n")
    assert "must be a video file" in refusal(concat)


def test_a_name_that_looks_like_an_address_is_a_name(write_video, tmp_path, monkeypatch) -> None:
    path = write_video("plain.mp4", flat(3))
    monkeypatch.chdir(tmp_path)
    path.rename(tmp_path / "concat:x.mp4")
    assert len(play(Path("concat:x.mp4"))[2]) == 3


def test_sound_alone_is_refused(tmp_path) -> None:
    path = tmp_path / "song.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts = 48_000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert "no video stream" in refusal(path)


def test_the_cover_picture_of_a_song_is_no_video(tmp_path) -> None:
    path = tmp_path / "song.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        sound = container.add_stream("aac", rate=48_000, layout="mono")
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts = 48_000, 0
        container.mux(sound.encode(frame))
        container.mux(sound.encode())
        picture = av.VideoFrame(64, 64, "yuvj420p")
        picture.pts = 0
        container.mux(cover.encode(picture))
        container.mux(cover.encode())
    assert "no video stream" in refusal(path)


def test_a_video_without_one_picture_is_refused(write_video, tmp_path) -> None:
    path = tmp_path / "none.mkv"
    with (
        av.open(str(write_video("some.mkv", flat(2)))) as template,
        av.open(str(path), "w") as container,
    ):
        stream = container.add_stream_from_template(template.streams.video[0])
        for pts in range(0, 200, 40):
            packet = av.Packet(bytes(50))
            packet.stream, packet.pts, packet.dts = stream, pts, pts
            container.mux(packet)
    assert "at least one picture" in refusal(path)


def test_absurd_sizes_are_refused(write_video, monkeypatch) -> None:
    monkeypatch.setattr("realtime.sources.video.MAX_VIDEO_PIXELS", 1000)
    assert "64×48" in refusal(write_video("big.mp4", flat(1)))


def test_live_playback_keeps_the_time_of_the_file(write_video) -> None:
    path = write_video("live.mp4", flat(4), rate_hz=50)
    source = VideoFile(path, live=True)
    spec = source.open()
    assert spec.live
    image = np.empty((48, 64, 3), np.uint8)
    started = time.monotonic()
    while source.fill(image) is not None:
        pass
    elapsed_s = time.monotonic() - started
    source.close()
    assert 0.055 <= elapsed_s < 1


def test_closing_from_another_thread_ends_a_waiting_fill(write_video) -> None:
    path = write_video("slow.mp4", flat(3), pts=[0, 90000 * 60, 90000 * 120])
    source = VideoFile(path, live=True)
    source.open()
    image = np.empty((48, 64, 3), np.uint8)
    assert source.fill(image) == 0
    results: list[int | None] = []
    waiting = threading.Thread(target=lambda: results.append(source.fill(image)))
    waiting.start()
    source.close()
    waiting.join(timeout=5)
    assert results == [None]


def test_a_closed_file_gives_nothing(write_video) -> None:
    source = VideoFile(write_video("plain.mp4", flat(3)))
    source.open()
    source.close()
    assert source.fill(np.empty((48, 64, 3), np.uint8)) is None
    source.close()


@pytest.mark.shared
@pytest.mark.skipif(not CLIPS.is_dir(), reason="the development media are not here")
@pytest.mark.parametrize("name", ["roop_car_1080p.mp4", "asl_bird_hand_over_mouth.mkv"])
def test_real_clips_play_to_their_end(name: str) -> None:
    spec, times, pictures = play(CLIPS / name)
    assert abs(len(pictures) - spec.num_frames) <= 1  # Matroska tells its duration only
    assert max(picture.std() for picture in pictures) > 20
    assert times[-1] == pytest.approx((len(times) - 1) * spec.period_ns, rel=0.02)


def test_a_picture_that_was_taken_is_let_go_at_once(write_video) -> None:
    picture = np.zeros((480, 640, 3), np.uint8)
    source = VideoFile(write_video("long.mp4", [picture] * 60))
    image = np.zeros_like(picture)
    gc.collect()
    gc.disable()
    try:
        source.open()
        for _ in range(30):
            source.fill(image)
        frames = [found for found in gc.get_objects() if type(found) is av.VideoFrame]
    finally:
        gc.enable()
        source.close()
    # The first, which was asked for its side data, the one in hand, and the decoder's own.
    assert len(frames) <= 3
