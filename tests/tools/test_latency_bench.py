from realtime.sinks.packing import FORMATS
from tools.latency_bench import describe, measure


def test_every_piece_is_measured_and_told():
    times = measure(320, 180, 5)
    assert {f"packed as {fourcc}" for fourcc in FORMATS} < set(times)
    assert all(0 < figures["p50"] <= figures["p99"] for figures in times.values())
    lines = describe(times)
    assert len(lines) == len(times)
    assert any(line.startswith("sink: converted and written") for line in lines)
