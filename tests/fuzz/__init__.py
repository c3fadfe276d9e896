"""Fuzzing, and the corpora that it keeps."""
