"""A simulated outside world: publishers, people and advertisers that drive the platform by its public API.

Everything here is invented. The same seed gives the same requests, byte for byte.
"""
