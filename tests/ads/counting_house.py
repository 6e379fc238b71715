"""A house with books and earnings beside its folds, and months that pass."""

from datetime import UTC, datetime

from ringwork.ads.books import Books
from ringwork.ads.invoice_events import EVENTS
from ringwork.ads.invoices import Invoicing
from ringwork.ads.payouts import Earnings, Payouts
from ringwork.kernel.journal import appliers_of
from tests.ads.house import TYPES, House

for _event in EVENTS:
    TYPES.add(_event)


class CountingHouse:
    """Invoices and payouts of a house."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.books, self.earnings = Books(), Earnings()
        self.folds = (self.books, self.earnings)
        house.journal.appliers = appliers_of([*house.folds.all, *self.folds])
        self.invoicing = Invoicing(
            books=self.books, catalogue=house.catalogue, ledger=house.ledger, ids=house.ids
        )
        self.payouts = Payouts(
            earnings=self.earnings, catalogue=house.catalogue, ledger=house.ledger, ids=house.ids,
            currency="EUR",
        )  # fmt: skip

    def at(self, *when: int) -> None:
        """Set the clock to year, month, day ..."""
        self.house.clock.set_wall_us(int(datetime(*when, tzinfo=UTC).timestamp() * 1_000_000))

    def charge(self, campaign_id: str = "c1", times: int = 1) -> int:
        """Sell and show ads of whoever wins; the nanos charged."""
        before = self.books.charged.get(campaign_id, 0)
        for _ in range(times):
            _, served = self.house.serve()
            for one in served:
                self.house.impression(one.tokens["impression"])
        return self.books.charged.get(campaign_id, 0) - before

    def issue(self, month: str, advertiser_id: str = "adv", *args):
        return self.house.do(lambda c: self.invoicing.issue(c, advertiser_id, month, *args))

    def credit(self, invoice_id: str, amount, reason: str = "a mistake"):
        return self.house.do(lambda c: self.invoicing.credit(c, invoice_id, amount, reason))

    def pay(self, month: str, publisher_id: str = "pub"):
        return self.house.do(lambda c: self.payouts.pay(c, publisher_id, month))

    def replayed(self):
        """The folds from the log, loaded from their own dumps half way."""
        folds, events = (Books(), Earnings()), self.house.events()
        for number, event in enumerate(events):
            for fold in folds:
                if number == len(events) // 2:
                    fold.load(fold.dump())
                if isinstance(event.payload, fold.hears):
                    fold.apply(event)
        return folds
