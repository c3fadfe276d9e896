"""Training tiny models with TRL: run by `make test-train`."""
