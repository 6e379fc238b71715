"""Who may sell what: ads.txt, sellers.json and the supply chain of a request.

Sources: IAB Tech Lab, ads.txt 1.1 (and app-ads.txt, of the same format), sellers.json 1.0, and the
SupplyChain object 1.0 with its text form for requests that are no OpenRTB.
"""

from __future__ import annotations

from ringwork.ads.supply.ads_txt import AdsTxt, Record
from ringwork.ads.supply.schain import BadChain, Chain, Node
from ringwork.ads.supply.sellers_json import Seller, SellersJson

__all__ = ["AdsTxt", "BadChain", "Chain", "Node", "Record", "Seller", "SellersJson"]
