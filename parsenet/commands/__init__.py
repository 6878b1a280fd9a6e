"""The commands: their options, and what they print; the work is imported inside."""
