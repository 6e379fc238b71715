"""Fairness for auctions elsewhere: measured, steered and proved, on a store of its own.

The platform without its market: the same store, the same fairness, the same handlers. What it
leaves in its directory is what the platform would have left, so that either may go on with it as
long as nothing else was kept there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import ExitStack, asynccontextmanager

from ringwork.app.application import Application, log_api_of
from ringwork.app.fairness import Fairness
from ringwork.app.fairness_surface import fairness_surface, rules_surface
from ringwork.app.memory import Memory
from ringwork.app.settings import Settings
from ringwork.app.store import Store, clock_of, working
from ringwork.fairness.hec.screen import SpecialAdScreen
from ringwork.kernel.entropy import SystemEntropy
from ringwork.kernel.errors import ConfigurationError
from ringwork.kernel.ports import Clock, Entropy, Fold
from ringwork.kernel.viewer import PERSON_PREFIX
from ringwork.storage.sqlite.files import Connect, connect
from ringwork.storage.sqlite.log import exit_at_once


class FairnessAlone:
    """One data directory, open. Use ``close``, or the ``lifespan``."""

    def __init__(self, store: Store) -> None:
        """Raises ConfigurationError for a store that holds what nobody here looks after."""
        settings = store.settings
        if not settings.fairness.enabled:
            raise ConfigurationError(
                "fairness.enabled = false: this server serves nothing else; set it to true"
            )
        _refuse_others(store)
        self.store = store
        self.fairness = Fairness(
            store, subject_of=lambda person: store.pseudonym(PERSON_PREFIX + person)
        )
        store.erasures.followers.append(self.fairness.erased)
        rules = settings.special_ads.rules
        self.screen = SpecialAdScreen.of(rules) if rules else None

    @asynccontextmanager
    async def lifespan(self, app: object) -> AsyncIterator[None]:
        """Background work while the server runs; afterwards everything durable and closed."""
        async with self.store.running(), working(self.store.keep(), self.fairness.keep()):
            yield

    def close(self) -> None:
        """Close every file. Idempotent."""
        self.store.close()


def create(
    settings: Settings,
    *,
    clock: Clock | None = None,
    entropy: Entropy | None = None,
    on_fatal: Callable[[Exception], None] = exit_at_once,
    open_database: Connect = connect,
    follower_process: bool = False,
) -> Application[FairnessAlone]:
    """Open the store of ``settings`` and build the application on it, as ``compose.create`` does.

    Raises LogCorrupt, Busy, ConfigurationError.
    """
    store = Store(
        settings,
        clock=clock or clock_of(settings),
        entropy=entropy or SystemEntropy(),
        on_fatal=on_fatal,
        open_database=open_database,
        follower_process=follower_process,
        learns=False,
    )
    with ExitStack() as undo:
        undo.callback(store.close)
        alone = FairnessAlone(store)
        surfaces = [rules_surface(alone.screen), fairness_surface(store, alone.fairness)]
        built = Application(alone, surfaces, log_api=log_api_of(store))
        undo.pop_all()
    return built


def _refuse_others(store: Store) -> None:
    """Holds, consents, retention of a whole platform would be left undone here."""
    memory, empty = store.memory, Memory()
    here: tuple[Fold, ...] = (memory.api_keys, *memory.fairness.folds)
    own = {fold.name for fold in here}
    folds: Iterable[tuple[Fold, Fold]] = zip(memory.folds, empty.folds, strict=True)
    for fold, nothing in folds:
        if fold.name not in own and fold.dump() != nothing.dump():
            raise ConfigurationError(
                f"data = {store.settings.data!r}: a whole platform lived here (there is something "
                f"in its {fold.name}), which this server would not look after; start `ringwork "
                "serve` on it, or choose another directory with --data"
            )
