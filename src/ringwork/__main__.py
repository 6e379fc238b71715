"""``python -m ringwork`` is the ``ringwork`` command."""

from ringwork.cli.main import main

if __name__ == "__main__":
    main()
