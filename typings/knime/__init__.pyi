"""KNIME ships no types: everything in its API is Any."""
