"""The ``ringwork`` command. Sub-commands are loaded when they are called, so ``--help`` is fast."""
