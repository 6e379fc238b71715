"""What regulates a bid request, as far as it is passed on: ``Signals`` of a lifted request."""

from __future__ import annotations

from ringwork.ads.exchange.outbound import Signals
from ringwork.ads.openrtb import dsa
from ringwork.ads.openrtb.structs import BidRequest


def signals_of(request: BidRequest) -> Signals:
    """The signals of a request whose 2.5 members were lifted (``openrtb.decode``)."""
    regs = request.regs
    consent = "" if request.user is None else request.user.consent or ""
    if regs is None:
        return Signals(consent=consent)
    return Signals(
        coppa=regs.coppa,
        gdpr=regs.gdpr,
        us_privacy=regs.us_privacy or "",
        gpp=regs.gpp or "",
        gpp_sid=tuple(regs.gpp_sid or ()),
        consent=consent,
        dsa=dsa.asked(request),
    )
