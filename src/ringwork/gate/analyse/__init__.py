"""What a log file alone can tell: who asked how, what that looks like, and the evidence for it.

``scan`` reads a log in bounded blocks and judges its actors, ``report`` writes what was found. The
files themselves are opened by whoever calls; everything here takes file objects and bytes.
"""
