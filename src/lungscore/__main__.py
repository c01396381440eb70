"""``python -m lungscore`` is the command ``lungscore``."""

from lungscore.cli.main import run

if __name__ == "__main__":
    run()
