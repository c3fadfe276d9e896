"""End to end against `transformers serve`, a real process, on a tiny Gemma 4 trained here."""
