"""`python -m harness` is `wirelab`."""

from harness.cli import main

if __name__ == "__main__":
    main()
