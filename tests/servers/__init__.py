"""In-process servers that behave as the documented APIs do, for tests over real HTTP."""
