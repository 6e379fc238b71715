"""``ringwork keys``: API keys, made here because the first one cannot be made over HTTP."""

from __future__ import annotations

from cyclopts import App

from ringwork.app.call import call
from ringwork.app.lock import holder_of
from ringwork.cli.answer import answer_of
from ringwork.cli.options import DEFAULTS, Options
from ringwork.kernel.errors import ConfigurationError
from ringwork.web.keys import Role

app = App(name="keys", help="Make, list and revoke API keys.")


@app.command
def create(*, role: Role, label: str = "", options: Options = DEFAULTS) -> None:
    """Make an API key; its token is printed once and kept nowhere.

    Example: ringwork keys create --role finance --label bookkeeping

    Parameters
    ----------
    role:
        What the key may do.
    label:
        A name to know it by.
    """
    made = answer_of(call(options.settings(), "POST", "/v1/keys", {"role": role, "label": label}))
    options.show(made, made["token"])


@app.command(name="list")
def list_keys(*, options: Options = DEFAULTS) -> None:
    """List every key, without its secret.

    Example: ringwork keys list --json
    """
    keys = answer_of(call(options.settings(), "GET", "/v1/keys"))["keys"]
    columns = {"id": "Id", "role": "Role", "label": "Label", "revoked": "Revoked"}
    options.table(keys, columns, title="API keys")


@app.command
def revoke(key_id: str, /, *, options: Options = DEFAULTS) -> None:
    """Revoke a key: it opens nothing from now on.

    Example: ringwork keys revoke 3f9a0c1d2e4b

    Parameters
    ----------
    key_id:
        The id, as `keys list` shows it.
    """
    key = answer_of(call(options.settings(), "DELETE", f"/v1/keys/{key_id}"))
    options.show(key, f"revoked {key['id']} ({key['role']})")


@app.command
def link(*, options: Options = DEFAULTS) -> None:
    """Make a link that signs a browser in to the console of the running server, once.

    Example: ringwork keys link
    """
    settings = options.settings()
    holder = holder_of(settings.data_path)
    if holder is None:
        raise ConfigurationError("no server runs on this data directory; start it with serve")
    made = answer_of(call(settings, "POST", "/v1/sign-in-links"))
    options.show(made, f"{holder.url}{made['path']}")
