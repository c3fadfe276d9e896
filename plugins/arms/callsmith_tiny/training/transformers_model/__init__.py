"""The network as a model of transformers: its config, its cache, its modules."""
