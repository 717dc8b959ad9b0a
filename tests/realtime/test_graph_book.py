from realtime.graph_book import GraphBook


class Device:
    """Counts captures; a graph does its work at each launch."""

    def __init__(self):
        self.num_captured = 0

    def capture(self, work, *, stream):
        self.num_captured += 1
        device = self

        class Graph:
            def launch(self, on):
                assert on is stream
                device.launched.append(work)
                work()

        return Graph()

    launched = None


def test_work_is_done_the_first_time_captured_the_second_and_launched_from_then_on():
    device, done = Device(), []
    device.launched = []
    book = GraphBook(device)
    counts = []
    for _ in range(4):
        book.run("key", lambda: done.append(1), stream="stream")
        counts.append((len(done), device.num_captured, len(device.launched), book.num_graphs))
    assert counts == [(1, 0, 0, 0), (2, 1, 1, 1), (3, 1, 2, 1), (4, 1, 3, 1)]


def test_other_work_is_captured_for_itself_and_all_is_forgotten():
    device = Device()
    device.launched = []
    book = GraphBook(device)
    for _ in range(2):
        book.run(("swap", 0), lambda: None, stream=0)
        book.run(("swap", 1), lambda: None, stream=0)
    assert book.num_graphs == 2
    book.forget()
    assert book.num_graphs == 0
    book.run(("swap", 0), lambda: None, stream=0)
    assert device.num_captured == 2
