"""Training data: many published shapes in, verified rows out.

Everything here except `files` and `hub` is pure: values in, values out. The way of a row is
`files` (records) → `readers` (rows) → `checking` (quarantine) → `cleaning` (duplicates,
contamination, splits) → `augmenting` (options, in the training split only) → `rendering` (what
a trainer is given).
"""
