"""The proof of consent: without it no request can see what its person did (``prove.prove``)."""
