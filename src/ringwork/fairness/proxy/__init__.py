"""Race and ethnicity estimated from name and area: for sums over many people, never for one."""

from ringwork.fairness.proxy.batch import IndividualExport, ProxyBatch, quantised
from ringwork.fairness.proxy.bisg import BIFSG, BISG
from ringwork.fairness.proxy.fbisg import FBISG

__all__ = ["BIFSG", "BISG", "FBISG", "IndividualExport", "ProxyBatch", "quantised"]
