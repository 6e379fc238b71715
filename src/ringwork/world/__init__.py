"""A simulated outside world: publishers, people and advertisers that use the public API.

Everything here is invented. The same seed gives the same requests, byte for byte.
"""
