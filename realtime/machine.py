"""What machine this is, and how much of it this process uses."""

import os
import platform
import sys
from pathlib import Path

import psutil

Facts = dict[str, str | int]


def machine_facts() -> Facts:
    """The machine's processor, memory and software, for putting beside measured figures."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count() or 1,
        "memory_mb": psutil.virtual_memory().total // 1_000_000,
        "platform": platform.platform(),
        "python": platform.python_version(),
    }


def resident_bytes() -> int:
    """Main memory this process occupies now (resident set)."""
    return int(psutil.Process().memory_info().rss)


def open_descriptors() -> int:
    """Files, sockets and devices this process has open now; handles of all kinds on Windows."""
    if sys.platform == "win32":
        return int(psutil.Process().num_handles())
    return int(psutil.Process().num_fds())


def num_threads() -> int:
    """Threads of this process, those of libraries too."""
    return int(psutil.Process().num_threads())


def process_usage(pid: int) -> tuple[float, int]:
    """What a process and those it started have taken so far.

    Returns:
        Processor time in seconds and resident memory in bytes; zeros where it has ended.
    """
    cpu_s, memory_bytes = 0.0, 0
    try:
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            times = one.cpu_times()
            cpu_s += times.user + times.system
            memory_bytes += one.memory_info().rss
    except psutil.NoSuchProcess:
        return cpu_s, memory_bytes
    return cpu_s, memory_bytes


def _cpu_model() -> str:
    # platform.processor() is empty or says only the architecture on Linux.
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
