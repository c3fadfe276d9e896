"""The command line: the only part of Callsmith that prints."""
