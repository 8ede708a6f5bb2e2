"""The verb that searches for settings."""
