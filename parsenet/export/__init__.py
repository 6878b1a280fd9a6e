"""A trained network as a file for other runtimes, checked before it appears."""
