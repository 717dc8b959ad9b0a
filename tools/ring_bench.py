"""How long a frame takes from one thread to the next: ``python -m tools.ring_bench``.

The same as ``rt-swap bench ring``, for a checkout that is not installed.
"""

import argparse
import json

from realtime.bench.report import ring_lines
from realtime.bench.ring import measure_ring
from realtime.machine import machine_facts


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--frames", type=int, default=4000, help="hand-overs per measurement")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    results = measure_ring(options.frames)
    if options.json:
        print(json.dumps({"handoff": results, "machine": machine_facts()}, indent=2))
        return
    print("\n".join(ring_lines(results)))


if __name__ == "__main__":
    main()
