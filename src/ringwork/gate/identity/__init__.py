"""Identity: who sends a request, and what each claim about it is worth.

An address is who the connection came from. A user agent is a claim, which allows nothing. A claim
is verified by published ranges, by forward-confirmed reverse DNS (``bots``), or by a signature
(``agents``, Web Bot Auth).
"""
