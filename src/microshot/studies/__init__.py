"""Many trainings compared: studies of how many images are needed, and sweeps over settings."""
