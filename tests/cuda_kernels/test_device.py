import numpy as np

from cuda_kernels.device import CpuDevice


def test_the_processors_copies_are_done_at_once_and_its_streams_order_nothing():
    device = CpuDevice()
    stream, event = device.new_stream(), device.new_event()
    event.record(stream)
    stream.wait_event(event)
    event.synchronize()
    assert event.done
    given = device.pinned((3, 5), np.float32)
    given[:] = 7
    there, copy = device.zeros((3, 5), np.float32), device.put(np.ones((3, 5), np.float32))
    device.settle()
    device.upload(given, out=there, stream=stream)
    device.copy(there, out=copy, stream=stream)
    back = device.pinned((3, 5), np.float32)
    device.download(copy, out=back, stream=stream)
    assert (back == 7).all()
    assert (device.launcher(stream), device.handle(stream), device.place) == (None, 0, "cpu")


def test_the_processor_counts_the_memory_it_gives_out():
    device = CpuDevice()
    device.zeros((100,), np.uint8)
    device.put(np.zeros(25, np.float32))
    assert device.used_bytes == 200
    device.close()
    assert device.used_bytes == 0


def test_what_is_captured_is_done_at_each_launch_and_not_before():
    device, done = CpuDevice(), []
    graph = device.capture(lambda: done.append(1), stream=device.new_stream())
    assert not done
    graph.launch(None)
    graph.launch(None)
    assert done == [1, 1]
