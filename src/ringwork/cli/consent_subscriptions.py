"""``ringwork consent subscriptions``: plans, dated prices and subscriptions from a terminal.

Persons are named in bodies that are read from files, or as arguments of a command; what is shown
are pseudonyms. How somebody pays is read from a file alone: arguments can be seen by others.
"""

from __future__ import annotations

import sys
import tomllib
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import urlencode
from uuid import NAMESPACE_URL, uuid4, uuid5

import msgspec
from cyclopts import App, Parameter

from ringwork.app.call import call
from ringwork.cli.answer import answer_of
from ringwork.cli.options import DEFAULTS, Options
from ringwork.kernel.errors import ConfigurationError
from ringwork.kernel.money import AmountError, parse_money

app = App(name="subscriptions", help="Plans, prices and subscriptions without ads.")

File: TypeAlias = Annotated[Path | None, Parameter(allow_leading_hyphen=True)]
State: TypeAlias = Literal["pending", "active", "past_due", "ending", "expired", "refunded"]

_PLANS = {"id": "Id", "name": "Name", "period": "Period"}
_PRICES = {
    "id": "Id",
    "plan": "Plan",
    "region": "Region",
    "channel": "Channel",
    "currency": "Currency",
    "price_nanos": "Price, nanos",
    "extra_account_nanos": "Extra, nanos",
    "valid_from_us": "From, us",
    "valid_to_us": "To, us",
}
_SUBSCRIPTIONS = {
    "id": "Id",
    "person": "Person",
    "plan": "Plan",
    "state": "State",
    "period": "Period",
    "price_nanos": "Price, nanos",
    "ends_us": "Ends, us",
    "reason": "Reason",
}


@app.command
def plans(*, load: File = None, options: Options = DEFAULTS) -> None:
    """List plans, or load plans and prices from a TOML file.

    Example: ringwork consent subscriptions plans --load prices.toml

    Parameters
    ----------
    load:
        A file with tables [[plans]] and [[prices]]; - reads stdin. What is there already stays.
    """
    if load is None:
        options.table(_all(options, "/v1/plans", "plans"), _PLANS, title="Plans")
        return
    settings, made = options.settings(), {"plans": 0, "prices": 0}
    for noun, path, bodies in _loaded(load):
        for body in bodies:
            reply = call(settings, "POST", path, body)
            answer_of(reply)
            made[noun] += reply.status == 201
    options.show(made, f"{made['plans']} plans and {made['prices']} prices are new")


@app.command
def prices(*, plan: str | None = None, options: Options = DEFAULTS) -> None:
    """List price records, past and future ones too.

    Example: ringwork consent subscriptions prices --plan no-ads

    Parameters
    ----------
    plan:
        Only those of this one.
    """
    rows = _all(options, "/v1/plan-prices", "plan_prices", plan=plan)
    options.table(rows, _PRICES, title="Prices")


@app.command
def subscribe(file: Path, /, *, options: Options = DEFAULTS) -> None:
    """Subscribe a person, as a JSON file says.

    Example: ringwork consent subscriptions subscribe ana.json

    Parameters
    ----------
    file:
        A JSON file as POST /v1/subscriptions takes it; - reads stdin.
    """
    try:
        body = msgspec.json.decode(_bytes(file))
    except msgspec.DecodeError as error:
        raise ConfigurationError(f"{file}: not JSON: {error}") from None
    # The same file sent twice is one subscription: the key follows from what it says.
    key = str(uuid5(NAMESPACE_URL, msgspec.json.encode(body, order="sorted").decode()))
    _command(options, "/v1/subscriptions", body, key)


@app.command(name="list")
def list_(
    *, state: State | None = None, plan: str | None = None, options: Options = DEFAULTS
) -> None:
    """List subscriptions.

    Example: ringwork consent subscriptions list --state past_due

    Parameters
    ----------
    state:
        Only those in this state.
    plan:
        Only those of this plan.
    """
    rows = _all(options, "/v1/subscriptions", "subscriptions", state=state, plan=plan)
    options.table(rows, _SUBSCRIPTIONS, title="Subscriptions")


@app.command
def show(id: str, /, *, options: Options = DEFAULTS) -> None:
    """Show a subscription.

    Example: ringwork consent subscriptions show s-1

    Parameters
    ----------
    id:
        Which one.
    """
    item = answer_of(call(options.settings(), "GET", f"/v1/subscriptions/{id}"))
    options.show(item, msgspec.json.format(msgspec.json.encode(item), indent=2).decode())


@app.command
def cancel(id: str, /, *, options: Options = DEFAULTS) -> None:
    """Cancel a subscription: it runs to the end of its period.

    Example: ringwork consent subscriptions cancel s-1

    Parameters
    ----------
    id:
        Which one.
    """
    _command(options, f"/v1/subscriptions/{id}/cancel")


@app.command
def refund(
    id: str, /, *, amount: str | None = None, reason: str = "", options: Options = DEFAULTS
) -> None:
    """Give back what the present period cost, or a part; the subscription ends at once.

    Example: ringwork consent subscriptions refund s-1 --amount "2.00 EUR" --reason goodwill

    Parameters
    ----------
    id:
        Which one.
    amount:
        A part; without it everything that is left.
    reason:
        Why; it stands in the log.
    """
    body: dict[str, object] = {"reason": reason}
    if amount is not None:
        kept = answer_of(call(options.settings(), "GET", f"/v1/subscriptions/{id}"))
        money = _money(amount, "--amount")
        if money["currency"] != kept["currency"]:
            raise ConfigurationError(f"--amount: expected {kept['currency']}, got {amount!r}")
        body["amount_nanos"] = money["nanos"]
    _command(options, f"/v1/subscriptions/{id}/refund", body, str(uuid4()))


@app.command
def link(id: str, person: str, /, *, options: Options = DEFAULTS) -> None:
    """Let another account share a subscription, once its extra price is paid.

    Example: ringwork consent subscriptions link s-1 bob

    Parameters
    ----------
    id:
        Which subscription.
    person:
        Whose account.
    """
    _command(options, f"/v1/subscriptions/{id}/link", {"person": person}, str(uuid4()))


@app.command
def unlink(id: str, person: str, /, *, options: Options = DEFAULTS) -> None:
    """End an account's share of a subscription, at once.

    Example: ringwork consent subscriptions unlink s-1 bob

    Parameters
    ----------
    id:
        Which subscription.
    person:
        Whose account.
    """
    _command(options, f"/v1/subscriptions/{id}/unlink", {"person": person})


def _command(options: Options, path: str, body: object = None, key: str | None = None) -> None:
    headers = {} if key is None else {"idempotency-key": key}
    item = answer_of(call(options.settings(), "POST", path, body, headers=headers))
    options.show(item, f"{item['id']}: {item['state']}")


def _all(options: Options, path: str, noun: str, **filters: str | None) -> list[dict[str, Any]]:
    """Every page of a list."""
    given = {name: value for name, value in filters.items() if value}
    rows: list[dict[str, Any]] = []
    after: str | None = "0"
    while after:
        query = urlencode({**given, "limit": "1000", "after": after})
        page = answer_of(call(options.settings(), "GET", f"{path}?{query}"))
        rows += page[noun]
        after = page["next"]
    return rows


def _bytes(path: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: no such file") from None


def _loaded(path: Path) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """(noun, API path, bodies) of a file of plans and prices. Raises ConfigurationError."""
    try:
        found = tomllib.loads(_bytes(path).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: not TOML: {error}") from None
    unknown = found.keys() - {"plans", "prices"}
    if unknown:
        raise ConfigurationError(f"{path}: expected plans and prices, got {sorted(unknown)}")
    tables = {noun: found.get(noun, []) for noun in ("plans", "prices")}
    for noun, table in tables.items():
        if not isinstance(table, list) or not all(isinstance(one, dict) for one in table):
            raise ConfigurationError(f"{path}: expected tables [[{noun}]], got {table!r:.60}")
    prices = [
        _price(one, f"{path}: prices {number}") for number, one in enumerate(tables["prices"], 1)
    ]
    return [("plans", "/v1/plans", tables["plans"]), ("prices", "/v1/plan-prices", prices)]


def _price(entry: dict[str, Any], where: str) -> dict[str, Any]:
    """A price as the API takes it: amounts as ``9.99 EUR`` and days become integers."""
    body = dict(entry)
    price = _money(body.pop("price", None), f"{where}: price")
    body |= {"currency": price["currency"], "price_nanos": price["nanos"]}
    if "extra_account" in body:
        extra = _money(body.pop("extra_account"), f"{where}: extra_account")
        if extra["currency"] != price["currency"]:
            raise ConfigurationError(
                f"{where}: extra_account: expected {price['currency']}, got {extra['currency']}"
            )
        body["extra_account_nanos"] = extra["nanos"]
    for member in ("valid_from", "valid_to"):
        if member in body:
            body[f"{member}_us"] = _time_us(body.pop(member), f"{where}: {member}")
    return body


def _money(text: object, where: str) -> dict[str, Any]:
    try:
        money = parse_money(text if isinstance(text, str) else str(text))
    except AmountError as error:
        raise ConfigurationError(f"{where}: {error}") from None
    return {"currency": money.currency, "nanos": money.total_nanos}


def _time_us(value: object, where: str) -> int:
    """A day begins at midnight, UTC; a time without an offset is UTC's."""
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
    elif isinstance(value, date):
        moment = datetime(value.year, value.month, value.day, tzinfo=UTC)
    else:
        raise ConfigurationError(f"{where}: expected a day like 2026-03-01, got {value!r:.60}")
    return int(moment.timestamp()) * 1_000_000
