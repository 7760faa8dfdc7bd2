"""Benchmarks as configs: found by name, resolved from TOML files and overrides, validated, and given an identity.

Called by the command line, ``craterbench.api`` and the search, which hand configs on to all that trains.
"""
