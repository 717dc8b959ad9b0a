"""Opening a video file that a person gave, without letting it lead anywhere else."""

from pathlib import Path

import av
import av.container

from realtime.errors import MediaError

CONTAINERS = (
    "mov,matroska,avi,mpegts,mpeg,flv,asf,ogg,gif,h264,hevc,m4v,mpegvideo,ivf,nut,mxf,dv,rm"
)
"""Demuxers that may open a file; playlists and other formats that refer to further files or
addresses are left out."""


def open_video(path: Path) -> av.container.InputContainer:
    """Opens a video file for reading; nothing but this very file can be read through it.

    Args:
        path: of a regular file.

    Returns:
        The opened container; the caller closes it.

    Raises:
        MediaError: the file is missing, unreadable, empty or no video.
    """
    _check_file(path)
    try:
        # An absolute path cannot be read as the address of a protocol ("concat:…", "http:…").
        return av.open(
            str(path.resolve()),
            "r",
            container_options={"protocol_whitelist": "file", "format_whitelist": CONTAINERS},
            metadata_errors="replace",
        )
    except av.FFmpegError as error:
        raise MediaError(_not_a_video(path, error)) from error


def picture_stream(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    """Finds the first stream of moving pictures; the cover picture of a song is none.

    Raises:
        MediaError: there is none.
    """
    for stream in container.streams.video:
        is_cover = av.stream.Disposition.attached_pic in stream.disposition
        if not is_cover and stream.codec_context is not None:
            return stream
    raise MediaError(
        f"{path}: must hold moving pictures, got {len(container.streams.audio)} sound tracks and "
        "no video stream. Name a video file."
    )


def _check_file(path: Path) -> None:
    # A pipe or a device could block for ever, hence regular files only.
    try:
        size = path.stat().st_size if path.is_file() else None
    except OSError as error:
        raise MediaError(
            f"{path}: the video must be readable, got: {error.strerror}. Check its permissions."
        ) from error
    if size is None:
        what = "a folder" if path.is_dir() else "no such file" if not path.exists() else "no file"
        raise MediaError(f"{path}: must be a video file, got {what}. Check the name.")
    if size == 0:
        raise MediaError(f"{path}: must be a video, got an empty file. Copy the file again.")


def _not_a_video(path: Path, error: av.FFmpegError) -> str:
    if isinstance(error, PermissionError):
        return f"{path}: the video must be readable, got: {error.strerror}. Check its permissions."
    return (
        f"{path}: must be a video file (MP4, MOV, MKV, WebM, AVI …), got something else or a "
        f"cut-off one ({error.strerror}). Copy the file again or convert it to MP4."
    )
