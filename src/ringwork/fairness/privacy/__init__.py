"""Noise that may be published: exact draws, releases over time, what they cost, and who has paid.

::

    samplers     discrete Laplace and Gaussian on integers from a pool of random words
    draws        one draw in whole numbers of any length; ``draws_compiled`` is the same, compiled
    continual    noisy running sums, released step by step
    accounting   epsilon of what is released (dp_accounting)
    budget       what every ad declared, spent, and has left
"""
