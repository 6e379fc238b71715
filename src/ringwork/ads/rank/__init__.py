"""How likely a response is: learned online from the platform's own log, calibrated, versioned.

::

    features     strings of a request and of an ad -> rows of 64-bit keys
    ftrl         the learner; ``compiled`` and ``plain`` are its loops with and without numba
    calibrate    log-odds -> probability in 1e-9, per tier
    waiting      impressions whose label is not known yet
    response     ResponseModel: learns every head, publishes snapshots
    snapshot     what requests are scored with, immutable, by version
    explore      which candidate to try, with the propensity to log
    off_policy   what another policy would have earned, from that log
    reliability  how far the probabilities can be trusted

The prediction is separable, so that a request pays for its own fields once and for an ad only the
crosses: ``logit = context + ad + clip(crosses, -c, c)`` (``ftrl``). Source: ads specification 3.16.
NumPy is imported by these modules, numba only by ``engine.warm``: neither by ``import ringwork``.
"""
