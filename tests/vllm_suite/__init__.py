"""vLLM's engine for real, on a tiny Gemma 4 with random weights.

The folder is not called `vllm`: tests/ is on the path, and `import vllm` would find it.
"""
