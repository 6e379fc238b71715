"""The installation's secrets are in its file, and in nothing that is printed."""

import msgspec
from rich.pretty import pretty_repr

from ringwork.app.secrets import Secrets, load_or_make
from ringwork.kernel.entropy import SeededEntropy


def test_no_key_is_in_what_is_printed(tmp_path):
    secrets = load_or_make(tmp_path, SeededEntropy(1))
    secrets = msgspec.structs.replace(secrets, fairness_log_rotated=(b"r" * 32,))
    assert [repr(secrets), str(secrets), f"{secrets!r}"] == ["Secrets()"] * 3
    assert pretty_repr(secrets) == "Secrets()"
    assert pretty_repr({"secrets": secrets}) == "{'secrets': Secrets()}"
    error = ValueError("unusable", secrets)
    for one in msgspec.structs.astuple(secrets):
        assert len(one) > 0
        assert repr(one)[2:-1] not in repr(error)


def test_what_is_printed_says_nothing_of_the_keys_that_are_there(tmp_path):
    assert repr(Secrets(b"", b"", b"", b"")) == repr(load_or_make(tmp_path, SeededEntropy(2)))
