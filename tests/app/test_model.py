"""The response model of a whole platform: learned from its log, published, served, made again."""

import asyncio
import logging
import os
import shutil
import signal
from pathlib import Path
from random import Random

import msgspec
import pytest

from ringwork.ads.learning import TIER, Learning
from ringwork.ads.model import Ask, Context, Served, Slot
from ringwork.ads.model_events import ModelPublished
from ringwork.ads.rank import features
from ringwork.ads.rank.response import ResponseModel
from ringwork.ads.rank.snapshot import Snapshot
from ringwork.app import learner as learner_module
from ringwork.app import store as store_module
from ringwork.app.keeper import DurableLog
from ringwork.app.learner import Learner
from ringwork.app.memory import EVENTS
from ringwork.app.model_files import ModelFiles
from ringwork.app.model_report import report
from ringwork.cli.ads_model import model as show_model
from ringwork.cli.options import Options
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.events import EventTypes
from ringwork.kernel.journal import appliers_of, replay
from ringwork.kernel.ports import Head
from ringwork.kernel.viewer import EXCHANGE, Signals, Viewer
from ringwork.storage.sqlite.reader import SqliteLogReader
from tests.app.life import HOUR_US, post, transfer
from tests.app.logged import events_of, unbroken
from tests.app.served import EPOCH_US, Client, serve, until
from tests.app.test_following import followed
from tests.crash.shop import euros

BANNER = Slot(id="1", format="banner", sizes=((300, 250),), floor_nanos=100_000)
MEASURED = Viewer(signals=Signals(gdpr=0), where=EXCHANGE)
"""Of whom no law asks leave to learn from what comes of an ad."""
ADVERTISERS = ("a", "b")
SITES = ("north.example", "south.example")
RATES = {("a", "north.example"): 0.08, ("a", "south.example"): 0.2,
         ("b", "north.example"): 0.16, ("b", "south.example"): 0.4}  # fmt: skip
"""What a visitor clicks on: ad b twice as often as a, in the south two and a half times."""
EACH_HOUR = 25
"""Impressions of each ad on each site."""
HOURS = 24


def hasten(patch: pytest.MonkeyPatch) -> None:
    """What waits for seconds in life waits for none here."""
    patch.setattr(learner_module, "BEGINS_AFTER_S", 0)
    patch.setattr(learner_module, "POLL_S", 0.002)
    patch.setattr(store_module, "TICK_S", 0.002)


@pytest.fixture(autouse=True)
def hastened(monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch)


async def open_shop(client: Client) -> None:
    """Two advertisers that pay for clicks."""
    await post(client, "/v1/publishers", {"id": "pub", "name": "P", "domain": "pub.example"})
    await post(client, "/v1/ledger/accounts", {"id": "cash", "currency": "EUR"}, "cash")
    for id in ADVERTISERS:
        body = {"id": id, "name": id, "domain": f"{id}.example", "currency": "EUR"}
        await post(client, "/v1/advertisers", body, id)
        deposit = transfer(f"deposit-{id}", 10**14, "cash", f"advertiser/{id}")
        await post(client, "/v1/ledger/transfers", deposit, f"deposit-{id}")
        campaign = {
            "id": f"{id}.c", "advertiser_id": id, "name": "C", "special_ad_categories": [], "pricing": "cpc",
            "bid_nanos": 300_000_000, "budget": euros(10**14),
        }  # fmt: skip
        await post(client, "/v1/campaigns", campaign, f"{id}.c")
        await post(client, "/v1/creatives", {
            "id": f"{id}.ad", "campaign_id": f"{id}.c", "name": "Ad", "format": "banner",
            "width": 300, "height": 250, "landing_url": "https://a.example/", "html": "<b>Ad</b>",
        })  # fmt: skip


def place(site: str, *blocked: str) -> Context:
    return Context(
        site=site, publisher_id="pub", device_type="phone", blocked_advertisers=tuple(blocked)
    )


async def sell(client: Client, advertiser: str, site: str) -> Served:
    """A sale of that advertiser's ad: the page does not want the other one's."""
    platform = client.app.platform
    other = ADVERTISERS[1 - ADVERTISERS.index(advertiser)]
    ask = Ask(
        request_id=platform.ids.new(), source="openrtb", context=place(site, other),
        slots=(BANNER,),
    )  # fmt: skip
    [served] = (await platform.serve_ad(ask, MEASURED)).served
    return served


async def view(client: Client, advertiser: str, site: str, *, clicks: bool) -> None:
    served = await sell(client, advertiser, site)
    outcomes = client.app.platform.record_outcome
    assert await outcomes.impression(served.tokens["impression"]) == "recorded"
    if clicks:
        assert await outcomes.click(served.tokens["click"]) is not None


async def an_hour(client: Client, random: Random, each: int = EACH_HOUR) -> None:
    """Everybody looks, some click; then an hour passes."""
    await asyncio.gather(
        *(
            view(client, advertiser, site, clicks=random.random() < rate)
            for (advertiser, site), rate in RATES.items()
            for _ in range(each)
        )
    )
    await client.app.platform.journal.settled()
    client.clock.advance_us(HOUR_US)


async def serving(client: Client, version: int) -> None:
    """The version serves, and everything before it has been learned."""
    platform = client.app.platform
    await until(lambda: platform.model.version >= version)
    await until(lambda: platform.ads.index.model_version >= version)


async def some_hours(client: Client, hours: int, first: int = 1) -> None:
    random = Random(first)
    for number in range(first, first + hours):
        await an_hour(client, random, 5)
        await serving(client, number)


def published(data: Path) -> list[int]:
    return [payload[0] for kind, payload in events_of(data) if kind == ModelPublished.TYPE]


def digests(data: Path) -> dict[int, bytes]:
    """Version -> digest, of every file that is whole."""
    files, reader = ModelFiles(data), SqliteLogReader(data / "log")
    found = (files.version(number, reader) for number in files.numbers())
    return {one.snapshot.version: one.snapshot.digest() for one in found if one is not None}


def replayed(data: Path) -> dict[int, bytes]:
    """The same of every version that the log says was published, by nothing but the log."""
    model = ResponseModel()
    learning, found = Learning(model), {}
    for row in SqliteLogReader(data / "log").rows():
        replay([row], EventTypes(EVENTS), appliers_of([learning]))
        if learning.snapshot is not None:
            found[learning.published] = learning.snapshot.digest()
            learning.snapshot = None
    return found


@pytest.fixture(scope="module")
def day(tmp_path_factory) -> tuple[Path, dict[tuple[str, str], float], list]:
    """A day's directory, the shares of views that were clicked on, and a sale after it."""
    data = tmp_path_factory.mktemp("day") / "data"
    last: list = []

    async def scenario(client: Client) -> None:
        await open_shop(client)
        random = Random(7)
        for number in range(1, HOURS + 1):
            await an_hour(client, random)
            await serving(client, number)
        await sell(client, "b", "south.example")
        await client.app.platform.journal.settled()

    with pytest.MonkeyPatch.context() as patch:
        hasten(patch)
        serve(data, scenario)
    events = events_of(data)
    shown: dict[bytes, tuple[str, str]] = {}
    clicked: dict[tuple[str, str], int] = dict.fromkeys(RATES, 0)
    for kind, payload in events:
        if kind == "auction_cleared":
            slot = payload[3][0]
            shown[slot[7]] = (slot[8][0], payload[2][0])
            last[:] = [slot]
        elif kind == "click_recorded":
            clicked[shown[payload[0]]] += 1
    shares = {pair: count / (EACH_HOUR * HOURS) for pair, count in clicked.items()}
    return data, shares, last


def logit_of(snapshot: Snapshot, data: Path, advertiser: str, site: str) -> float:
    context = features.context_keys(features.context_values(place(site), BANNER))
    values = (f"{advertiser}.ad", f"{advertiser}.c", advertiser, "", "banner 300x250")
    return snapshot.head("click").logit(context, features.ad_keys([values])[0])


def test_a_day_teaches_which_ad_is_clicked_on_where(day):
    data, shares, [slot] = day
    assert published(data) == list(range(1, HOURS + 1)), "every ten minutes, where anything was new"
    reader = SqliteLogReader(data / "log")
    newest = ModelFiles(data).newest(reader)
    assert newest is not None
    assert newest.snapshot.version == HOURS
    head = newest.snapshot.head("click")
    predicted = {
        pair: head.p_ppb(logit_of(newest.snapshot, data, *pair), TIER) / 1e9 for pair in RATES
    }
    for pair, share in shares.items():
        # 600 views, 47 to 240 clicks: 15 % of noise, and the least is still drawn to the others.
        assert predicted[pair] == pytest.approx(share, rel=0.3), pair
    assert sorted(predicted, key=predicted.get) == sorted(RATES, key=RATES.get)
    [considered] = slot[6]
    expected = head.p_ppb(logit_of(newest.snapshot, data, "b", "south.example"), TIER)
    assert considered[3] == expected, "the auction after it used that version"
    unbroken(data)


def test_the_log_alone_gives_the_same_versions(day):
    data, _, _ = day
    online = digests(data)
    assert sorted(online) == [HOURS - 2, HOURS - 1, HOURS], "three are kept"
    assert online.items() <= replayed(data).items()


def test_a_saved_state_goes_on_to_the_same_versions(day, tmp_path):
    data, _, _ = day
    reader = SqliteLogReader(data / "log")
    for row in reader.rows():
        if row.first_seq >= reader.head.seq // 2:
            break
    half = DurableLog(reader, Head(0, row.first_seq + row.count - 1, row.chain))
    first = Learner(half, EventTypes(EVENTS), tmp_path)
    while first.step():
        pass
    first.save()
    assert 0 < first.learned.version < HOURS
    second = Learner(reader, EventTypes(EVENTS), tmp_path)
    assert second.learned == first.learned, "it went on from there"
    while second.step():
        pass
    shutil.copytree(data / "log", tmp_path / "log")
    newest = max(online := digests(data))
    assert digests(tmp_path)[newest] == online[newest]
    assert second.learned.rows["click"] > first.learned.rows["click"] > 0


def test_a_state_is_saved_with_the_version_that_it_published(day, tmp_path):
    data, _, _ = day
    reader = SqliteLogReader(data / "log")
    first = Learner(reader, EventTypes(EVENTS), tmp_path)
    while not first.learned.version:
        first.step()
    assert first.learned.written == 0, "the next step would write it"
    first.save()
    second = Learner(reader, EventTypes(EVENTS), tmp_path)
    assert second.learned.seq == first.learned.seq > 0
    assert second.learned.written == second.learned.version == first.learned.version


def test_versions_of_this_log_stay_while_it_is_learned_anew(day, tmp_path):
    data, _, _ = day
    shutil.copytree(data / "models", tmp_path / "models")
    (tmp_path / "models" / "learner.state").unlink()
    shutil.copy(tmp_path / "models" / f"{HOURS}.bin", tmp_path / "models" / "99.bin")
    os.truncate(tmp_path / "models" / "99.bin", 100)
    reader = SqliteLogReader(data / "log")
    early = Learner(reader, EventTypes(EVENTS), tmp_path)
    while not early.learned.version:
        early.step()
    early.save()
    kept = [HOURS, HOURS - 1, HOURS - 2]
    assert ModelFiles(tmp_path).numbers() == [*kept, early.learned.version]
    while early.step():
        pass
    assert ModelFiles(tmp_path).numbers() == kept


def test_a_restart_serves_the_newest_version_at_once(tmp_path):
    data, clock, online = tmp_path / "data", ManualClock(EPOCH_US), {}

    async def first(client: Client) -> None:
        await open_shop(client)
        await some_hours(client, 4)

    async def second(client: Client) -> None:
        assert client.app.platform.model.version == 4, "before anybody asks for an ad"
        await sell(client, "a", "north.example")
        assert client.app.platform.ads.index.model_version == 4
        await some_hours(client, 1, first=5)

    serve(data, first, clock=clock)
    online.update(digests(data))
    serve(data, second, clock=clock, seed=6)
    assert published(data) == [1, 2, 3, 4, 5], "counted on, not anew"
    assert digests(data).items() <= replayed(data).items()
    assert digests(data)[4] == online[4]


def test_where_nobody_was_shown_anything_there_is_no_version(tmp_path):
    async def scenario(client: Client) -> None:
        platform = client.app.platform
        await open_shop(client)
        await until(lambda: platform.model.learned.seq == platform.log.head.seq)
        client.clock.advance_us(HOUR_US)
        assert not platform.model.publish_if_due()

    serve(tmp_path / "data", scenario)
    assert published(tmp_path / "data") == []


def test_nothing_new_is_no_new_version(tmp_path):
    data = tmp_path / "data"

    async def scenario(client: Client) -> None:
        platform = client.app.platform
        await open_shop(client)
        await some_hours(client, 1)
        client.clock.advance_us(HOUR_US)
        await until(lambda: platform.model.learned.seq == platform.log.head.seq)
        assert not platform.model.publish_if_due()
        client.clock.set_wall_us(EPOCH_US)
        assert not platform.model.publish_if_due(), "a clock set back waits from where it is"
        await view(client, "a", "north.example", clicks=True)
        client.clock.advance_us(601_000_000)
        await serving(client, 2)

    serve(data, scenario)
    assert published(data) == [1, 2]


# ---- damage -------------------------------------------------------------------------------------


def warnings_of(caplog) -> list[str]:
    return [line.getMessage() for line in caplog.records if line.levelno >= logging.WARNING]


@pytest.mark.parametrize("damage", ["truncated", "missing", "foreign"])
def test_a_version_that_cannot_be_used_is_made_again(tmp_path, caplog, damage):
    data, clock = tmp_path / "data", ManualClock(EPOCH_US)

    async def live(client: Client) -> None:
        await open_shop(client)
        await some_hours(client, 2)

    async def begins_with(client: Client) -> None:
        await serving(client, 2)

    serve(data, live, clock=clock)
    whole = digests(data)
    file = data / "models" / "2.bin"
    if damage == "truncated":
        os.truncate(file, file.stat().st_size // 2)
    elif damage == "missing":
        file.unlink()
    else:
        serve(tmp_path / "other", live, seed=9)
        shutil.copy(tmp_path / "other" / "models" / "2.bin", file)
    usable = ModelFiles(data).newest(SqliteLogReader(data / "log"))
    assert usable is not None
    assert usable.snapshot.version == 1, "the one before it serves meanwhile"
    caplog.clear()
    serve(data, begins_with, clock=clock, seed=6)
    assert digests(data) == whole
    told = {"truncated": "is damaged", "foreign": "is of another log"}
    lines = warnings_of(caplog)
    assert all(told[damage] in line for line in lines)
    assert (damage == "missing") == (lines == [])


def test_a_state_that_was_cut_short_is_learned_again(tmp_path, caplog):
    data, clock = tmp_path / "data", ManualClock(EPOCH_US)

    async def live(client: Client) -> None:
        await open_shop(client)
        await some_hours(client, 2)

    async def goes_on(client: Client) -> None:
        await some_hours(client, 1, first=3)

    serve(data, live, clock=clock)
    state = data / "models" / "learner.state"
    os.truncate(state, state.stat().st_size - 1)
    serve(data, goes_on, clock=clock, seed=6)
    assert ["learner.state is damaged" in line for line in warnings_of(caplog)] == [True]
    assert digests(data).items() <= replayed(data).items()
    assert max(digests(data)) == 3


def test_a_disk_that_refuses_is_told_once_and_its_trouble_passes(tmp_path, caplog):
    data = tmp_path / "data"

    async def scenario(client: Client) -> None:
        await open_shop(client)
        (data / "models").write_text("in the way")
        await an_hour(client, Random(1), 5)
        await until(lambda: any("cannot be kept up" in line for line in warnings_of(caplog)))
        (data / "models").unlink()
        await serving(client, 1)

    serve(data, scenario)
    assert sum("cannot be kept up" in line for line in warnings_of(caplog)) == 1


# ---- in the follower ----------------------------------------------------------------------------


def test_a_follower_learns_and_one_that_is_killed_is_made_up_for(tmp_path):
    data = tmp_path / "data"

    async def scenario(client: Client) -> None:
        await open_shop(client)
        await some_hours(client, 2)
        whole, again = digests(data)[2], data / "models" / "2.bin"
        dead = await followed(client)
        os.kill(dead, signal.SIGKILL)
        await until(lambda: client.app.platform.projections.troubles != {})
        shutil.rmtree(data / "models")
        await until(again.exists)
        assert digests(data) == {2: whole}, "and no version before it"
        await some_hours(client, 1, first=3)

    serve(data, scenario, follower_process=True)
    assert (data / "models" / "learner.state").exists(), "saved at the end"
    assert digests(data).items() <= replayed(data).items()
    assert published(data) == [1, 2, 3]
    unbroken(data)


# ---- what is told of it -------------------------------------------------------------------------


def test_the_report_judges_a_version_by_what_it_had_not_learned(day):
    data, _, _ = day
    found = report(data, lambda what, count: None)
    assert [one.version for one in found.versions] == list(range(HOURS, 0, -1))
    assert (found.on_disk, found.judged) == ([HOURS, HOURS - 1, HOURS - 2], HOURS - 2)
    click = found.heads["click"]
    # An hour's views are learned when the next version is published: two hours came after it.
    assert click.rows == 2 * len(RATES) * EACH_HOUR
    assert 0.5 < click.ratio < 2.0
    assert click.auc > 0.55


def test_the_report_of_a_log_without_versions_is_empty(tmp_path):
    async def scenario(client: Client) -> None:
        await open_shop(client)

    serve(tmp_path / "data", scenario)
    found = report(tmp_path / "data", lambda what, count: None)
    assert (found.versions, found.on_disk, found.judged, found.heads) == ([], [], None, {})


def test_the_command_shows_versions_and_figures(day, capsys):
    data, _, _ = day
    show_model(options=Options(data=str(data), json=True))
    told = msgspec.json.decode(capsys.readouterr().out)
    assert told["versions"][0]["version"] == HOURS
    assert told["versions"][0]["learned"]["click"] > 0
    assert len(told["heads"]["click"]["deciles"]) == 10
    show_model(options=Options(data=str(data)))
    text = capsys.readouterr().out
    assert f"Version {HOURS - 2}, judged by what it had not learned" in text
    assert "Learned, conversion" in text
