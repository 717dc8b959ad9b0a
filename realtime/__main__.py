"""``python -m realtime`` is ``rt-swap``."""

from realtime.cli import program

if __name__ == "__main__":
    program()
