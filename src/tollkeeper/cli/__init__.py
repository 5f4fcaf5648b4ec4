"""The commands: one file per noun, each read only when it is called, so that --help is quick."""

from tollkeeper.cli.frame import main

__all__ = ["main"]
