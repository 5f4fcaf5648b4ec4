"""`python -m tollkeeper` is `tollkeeper`."""

from tollkeeper.cli import main

if __name__ == "__main__":
    main()
