"""Weights as files: which model a folder holds, told without loading it."""
