"""Prompts: pieces by who wrote them, and token ids that keep the two apart."""
