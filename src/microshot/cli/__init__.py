"""The command line: the verbs of the nodes, for machines without KNIME."""

from microshot.cli.main import main

__all__ = ["main"]
