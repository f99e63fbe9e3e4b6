"""Run nodes and saved workflows without the KNIME application."""
