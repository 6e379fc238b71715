// Answers __tcfapi and __gpp by the IAB's own libraries. Bundled by requirements/consent_js.py.
import { CmpApi as GppApi, CmpDisplayStatus, CmpStatus, SignalStatus } from "@iabgpp/cmpapi";
import { CmpApi as TcfApi } from "@iabtcf/cmpapi";

const TCF_EU = 2;
const TCF_EU_NAME = "tcfeuv2";

// Called once; what it returns is called at each change, with the strings and whether we ask now.
globalThis.ringworkIab = ({ id, version }) => {
  const tcf = new TcfApi(id, version, true);
  const gpp = new GppApi(id, version);
  gpp.setSupportedAPIs([`${TCF_EU}:${TCF_EU_NAME}`]);
  gpp.setApplicableSections([TCF_EU]);
  gpp.setCmpStatus(CmpStatus.LOADED);
  return (signals, isShown) => {
    const text = signals ? signals.tc : "";
    tcf.update(text, isShown);
    gpp.setCmpDisplayStatus(isShown ? CmpDisplayStatus.VISIBLE : CmpDisplayStatus.HIDDEN);
    if (text) {
      gpp.setGppString(signals.gpp);
      gpp.fireSectionChange(TCF_EU_NAME);
    }
    gpp.setSignalStatus(text && !isShown ? SignalStatus.READY : SignalStatus.NOT_READY);
  };
};
