"""The same auction on the stack that most would take: FastAPI, pydantic, SQLAlchemy.

Index, market and prices are ours, so that only the stack differs: pydantic decodes the request and
writes the answer; with ``reads`` the ORM loads advertiser, campaign, creative and what was spent for
every candidate, writes the hold and the auction, and commits; without, campaigns stay in memory, and
the auction is a line in a buffered file.

    python -m benchmarks.ads.twin STORE PORT reads|memory
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import uvicorn
from fastapi import FastAPI, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy import BigInteger, ForeignKey, String, create_engine, event, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, joinedload, mapped_column, relationship

from ringwork.ads.auction import sell_as
from ringwork.ads.index import Index, Shortlist
from ringwork.ads.model import Context, Slot
from ringwork.ads.openrtb.price import floor_to_nanos
from ringwork.app.platform import Platform
from ringwork.app.settings import Settings
from ringwork.kernel.clock import SystemClock
from ringwork.kernel.entropy import SystemEntropy


class Loose(BaseModel):
    model_config = ConfigDict(extra="allow")


class Format(Loose):
    w: int | None = None
    h: int | None = None


class Banner(Loose):
    format: list[Format] = []
    w: int | None = None
    h: int | None = None
    pos: int | None = None
    battr: list[int] = []
    api: list[int] = []


class Imp(Loose):
    id: str
    banner: Banner | None = None
    bidfloor: float = 0
    bidfloorcur: str = "USD"
    secure: int | None = None
    tagid: str | None = None


class Publisher(Loose):
    id: str | None = None
    name: str | None = None
    domain: str | None = None


class Site(Loose):
    id: str | None = None
    domain: str | None = None
    page: str | None = None
    ref: str | None = None
    cat: list[str] = []
    publisher: Publisher | None = None


class Geo(Loose):
    country: str | None = None
    region: str | None = None
    type: int | None = None


class Device(Loose):
    ua: str | None = None
    ip: str | None = None
    devicetype: int | None = None
    language: str | None = None
    geo: Geo | None = None


class User(Loose):
    id: str | None = None


class Regs(Loose):
    coppa: int | None = None
    gdpr: int | None = None
    us_privacy: str | None = None
    gpp_sid: list[int] = []


class Source(Loose):
    fd: int | None = None
    tid: str | None = None


class BidRequest(Loose):
    id: str
    imp: list[Imp]
    site: Site | None = None
    device: Device | None = None
    user: User | None = None
    regs: Regs | None = None
    source: Source | None = None
    at: int = 2
    tmax: int | None = None
    cur: list[str] = []
    bcat: list[str] = []
    badv: list[str] = []


class Bid(BaseModel):
    id: str
    impid: str
    price: float
    adm: str
    adid: str
    adomain: list[str]
    cid: str
    crid: str
    w: int
    h: int
    burl: str


class SeatBid(BaseModel):
    bid: list[Bid]
    seat: str


class BidResponse(BaseModel):
    id: str
    seatbid: list[SeatBid]
    bidid: str
    cur: str


class Base(DeclarativeBase):
    type_annotation_map: ClassVar[dict[type, object]] = {int: BigInteger}


class AdvertiserRow(Base):
    __tablename__ = "advertisers"
    id: Mapped[str] = mapped_column(String, primary_key=True)
    domain: Mapped[str]


class CampaignRow(Base):
    __tablename__ = "campaigns"
    id: Mapped[str] = mapped_column(String, primary_key=True)
    advertiser_id: Mapped[str] = mapped_column(ForeignKey("advertisers.id"))
    bid_nanos: Mapped[int]
    budget_nanos: Mapped[int]
    spent_nanos: Mapped[int] = mapped_column(default=0)
    advertiser: Mapped[AdvertiserRow] = relationship()


class CreativeRow(Base):
    __tablename__ = "creatives"
    id: Mapped[str] = mapped_column(String, primary_key=True)
    campaign_id: Mapped[str] = mapped_column(ForeignKey("campaigns.id"))
    width: Mapped[int]
    height: Mapped[int]
    html: Mapped[str]
    landing_url: Mapped[str]
    campaign: Mapped[CampaignRow] = relationship()


class AuctionRow(Base):
    __tablename__ = "auctions"
    id: Mapped[str] = mapped_column(String, primary_key=True)
    at_us: Mapped[int]
    campaign_id: Mapped[str]
    price_nanos: Mapped[int]
    considered: Mapped[str]


DEVICES = {1: "phone", 2: "computer", 3: "tv", 4: "phone", 5: "tablet"}


class Plenty:
    """Means that never end, for the index of the twin: its own table says what was spent."""

    def __init__(self) -> None:
        self.changed: dict[str, None] = {}

    def free_nanos(self, campaign: object, now_s: int) -> int:
        return 10**12


class Twin:
    def __init__(self, store: Path, *, reads: bool) -> None:
        platform = Platform(Settings(data=str(store)), clock=SystemClock(), entropy=SystemEntropy())
        self.catalogue = platform.memory.catalogue
        platform.close()
        self.index = Index(self.catalogue, Plenty(), p_ppb={"cpm": 10**9})
        self.engine = create_engine(f"sqlite:///{store}/twin.db") if reads else None
        if self.engine is not None:
            self._fill(self.engine)
        else:
            self.log = (store / "twin.log").open("a", buffering=1 << 20)

    def _fill(self, engine: Any) -> None:
        @event.listens_for(engine, "connect")
        def connected(connection: Any, record: object) -> None:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")

        Base.metadata.create_all(engine)
        with Session(engine) as session:
            if session.scalars(select(AdvertiserRow).limit(1)).first() is not None:
                return
            for one in self.catalogue.advertisers.values():
                session.add(AdvertiserRow(id=one.id, domain=one.domain))
            session.flush()
            for campaign in self.catalogue.campaigns.values():
                session.add(CampaignRow(
                    id=campaign.id, advertiser_id=campaign.advertiser_id, bid_nanos=campaign.bid_nanos,
                    budget_nanos=campaign.budget.total_nanos,
                ))  # fmt: skip
            session.flush()
            for ad in self.catalogue.creatives.values():
                session.add(CreativeRow(
                    id=ad.id, campaign_id=ad.campaign_id, width=ad.width, height=ad.height, html=ad.html,
                    landing_url=ad.landing_url,
                ))  # fmt: skip
            session.commit()

    def shortlist(self, request: BidRequest, now_us: int) -> tuple[Imp, Shortlist]:
        imp, site, device = request.imp[0], request.site, request.device
        assert imp.banner is not None
        assert site is not None
        geo = device.geo if device else None
        region = ""
        if geo is not None and geo.country:
            region = f"{geo.country}-{geo.region}" if geo.region else geo.country
        context = Context(
            site=site.domain or "", publisher_id=(site.publisher and site.publisher.id) or "",
            categories=tuple(site.cat), region=region,
            device_type=DEVICES.get((device.devicetype or 0) if device else 0, "other"),
            blocked_categories=tuple(request.bcat), blocked_domains=tuple(request.badv),
        )  # fmt: skip
        slot = Slot(
            id=imp.id, format="banner", sizes=tuple((one.w or 0, one.h or 0) for one in imp.banner.format),
            floor_nanos=floor_to_nanos(Decimal(str(imp.bidfloor))), blocked_attributes=tuple(imp.banner.battr),
            needs=("https",) if imp.secure else (),
        )  # fmt: skip
        return imp, self.index.shortlist(context, slot, now_us=now_us)

    def answer(self, request: BidRequest) -> BidResponse | None:
        now_us = time.time_ns() // 1000
        imp, shortlist = self.shortlist(request, now_us)
        if not shortlist.ranked:
            return None
        sale = sell_as(
            "second" if request.at == 1 else "first",
            shortlist.ranked,
            floor_to_nanos(Decimal(str(imp.bidfloor))),
        )
        assert sale is not None
        auction_id = str(uuid.uuid4())
        considered = json.dumps(
            [[one.candidate.ad_id, one.candidate.bid_nanos] for one in shortlist.ranked]
        )
        if self.engine is None:
            contender = shortlist.contenders[sale.ad_id]
            creative, domain, campaign_id = (
                contender.creative,
                contender.advertiser.domain,
                contender.campaign.id,
            )
            self.log.write(f"{auction_id} {now_us} {campaign_id} {sale.price_nanos} {considered}\n")
            return respond(
                request, imp, auction_id, sale.price_nanos, creative, domain, campaign_id
            )
        with Session(self.engine) as session:
            rows = session.scalars(
                select(CreativeRow)
                .where(CreativeRow.id.in_([one.candidate.ad_id for one in shortlist.ranked]))
                .options(joinedload(CreativeRow.campaign).joinedload(CampaignRow.advertiser))
            ).all()
            row = next(one for one in rows if one.id == sale.ad_id)
            campaign = row.campaign
            if campaign.budget_nanos - campaign.spent_nanos < sale.price_nanos:
                return None
            campaign.spent_nanos += sale.price_nanos
            session.add(AuctionRow(
                id=auction_id, at_us=now_us, campaign_id=campaign.id, price_nanos=sale.price_nanos, considered=considered,
            ))  # fmt: skip
            answer = respond(
                request,
                imp,
                auction_id,
                sale.price_nanos,
                row,
                campaign.advertiser.domain,
                campaign.id,
            )
            session.commit()
            return answer


def respond(
    request: BidRequest,
    imp: Imp,
    auction_id: str,
    price_nanos: int,
    ad: Any,
    domain: str,
    campaign_id: str,
) -> BidResponse:
    url = f"http://127.0.0.1/b/{auction_id}"
    adm = f'<div><iframe srcdoc="{ad.html}" width="{ad.width}" height="{ad.height}"></iframe><a href="http://127.0.0.1/c/{auction_id}"></a><img src="{url}"></div>'
    bid = Bid(
        id=auction_id, impid=imp.id, price=price_nanos / 10**6, adm=adm, adid=ad.id, adomain=[domain],
        cid=campaign_id, crid=ad.id, w=ad.width, h=ad.height, burl=url,
    )  # fmt: skip
    return BidResponse(
        id=request.id, seatbid=[SeatBid(bid=[bid], seat="twin")], bidid=auction_id, cur="EUR"
    )


def app_of(twin: Twin) -> FastAPI:
    app = FastAPI()

    @app.post("/openrtb2/auction", response_model=BidResponse)
    async def auction(request: BidRequest) -> BidResponse | Response:
        answer = twin.answer(request)
        return Response(status_code=204) if answer is None else answer

    return app


if __name__ == "__main__":
    uvicorn.run(
        app_of(Twin(Path(sys.argv[1]), reads=sys.argv[3] == "reads")), host="127.0.0.1", port=int(sys.argv[2]),
        loop="uvloop", http="httptools", log_level="error", access_log=False, server_header=False,
    )  # fmt: skip
