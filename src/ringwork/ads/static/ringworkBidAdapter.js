/* Ringwork as a bidder in Prebid.js: copy to modules/ of a Prebid.js source tree (9 or later).
   Ad unit: { bidder: "ringwork", params: { endpoint: "https://ads.example", publisher: "ID" } };
   optional params: placement (an id), currency (the platform's; EUR), floor and floorCurrency.
   It talks OpenRTB 2.6 to ENDPOINT/openrtb2/auction, without cookies. Nothing about a person is
   sent, whatever the page knows: of its first-party data the place, the kind of device, the country
   and the signals of consent. Nobody is synchronised with. */
import { registerBidder } from "../src/adapters/bidderFactory.js";
import { BANNER, VIDEO } from "../src/mediaTypes.js";

const CODE = "ringwork";
const PATH = "/openrtb2/auction";
const TTL_S = 300; // as long as the server holds a price that does not say otherwise (bid.exp)
const LOCAL = ["localhost", "127.0.0.1", "[::1]"];

// What of an object is passed on; the rest is left where it was.
const pick = (from, ...names) => {
  const given = names.filter((name) => from?.[name] != null);
  return Object.fromEntries(given.map((name) => [name, from[name]]));
};

const isEmpty = (object) => Object.keys(object).length === 0;

const endpointOf = (params) => {
  try {
    const url = new URL(params.endpoint);
    const secure = url.protocol === "https:" || LOCAL.includes(url.hostname);
    return secure ? url.origin + PATH : null;
  } catch {
    return null;
  }
};

const withoutQuery = (page) => {
  try {
    const url = new URL(page);
    return url.origin + url.pathname; // a query may hold what only its reader should know
  } catch {
    return undefined;
  }
};

const pairs = (sizes) => (Array.isArray(sizes?.[0]) ? sizes : sizes ? [sizes] : []);

const bannerOf = (bid) => {
  const format = pairs(bid.mediaTypes.banner.sizes).map(([w, h]) => ({ w, h }));
  return { format, ...pick(bid.ortb2Imp?.banner, "battr", "pos") };
};

const videoOf = (bid) => {
  const video = { ...bid.mediaTypes.video, ...bid.ortb2Imp?.video };
  const [w, h] = pairs(video.playerSize)[0] ?? [];
  return {
    w,
    h,
    mimes: ["video/mp4"],
    protocols: [2, 3, 7, 11, 13],
    ...pick(
      video, "mimes", "protocols", "minduration", "maxduration", "rqddurs", "startdelay", "plcmt",
      "linearity", "skip", "skipmin", "skipafter", "battr", "delivery", "playbackmethod", "w", "h",
    ),
  };
};

const floorOf = (bid, currency) => {
  const asked = bid.getFloor?.({ currency, mediaType: "*", size: "*" });
  const floor = Number(asked?.floor ?? bid.params.floor);
  if (!(floor > 0)) return {};
  return { bidfloor: floor, bidfloorcur: asked?.currency ?? bid.params.floorCurrency ?? currency };
};

const impOf = (bid, currency) => ({
  id: bid.bidId,
  ...(bid.mediaTypes?.banner ? { banner: bannerOf(bid) } : {}),
  ...(bid.mediaTypes?.video ? { video: videoOf(bid) } : {}),
  ...(bid.params.placement ? { tagid: bid.params.placement } : {}),
  ...floorOf(bid, currency),
  ...pick(bid.ortb2Imp, "instl", "rwdd", "exp"),
  secure: 1,
});

const siteOf = (site, bidderRequest, params) => ({
  ...pick(site, "domain", "cat", "cattax", "sectioncat", "pagecat"),
  page: withoutQuery(bidderRequest.refererInfo?.page ?? site?.page),
  publisher: { id: params.publisher },
});

const regsOf = (bidderRequest) => {
  const { gdprConsent, uspConsent, gppConsent, ortb2 } = bidderRequest;
  const regs = pick(ortb2?.regs, "coppa", "gdpr", "us_privacy", "gpp", "gpp_sid");
  if (ortb2?.regs?.ext?.dsa) regs.ext = { dsa: ortb2.regs.ext.dsa };
  if (typeof gdprConsent?.gdprApplies === "boolean") regs.gdpr = Number(gdprConsent.gdprApplies);
  if (uspConsent) regs.us_privacy = uspConsent;
  if (gppConsent?.gppString) {
    regs.gpp = gppConsent.gppString;
    regs.gpp_sid = gppConsent.applicableSections ?? [];
  }
  return regs;
};

const consentOf = (bidderRequest) =>
  bidderRequest.gdprConsent?.consentString ?? bidderRequest.ortb2?.user?.consent;

const chainOf = (bids, ortb2) =>
  bids[0].schain ?? ortb2?.source?.schain ?? ortb2?.source?.ext?.schain;

const requestOf = (bids, bidderRequest) => {
  const { ortb2 } = bidderRequest;
  const params = bids[0].params;
  const currency = params.currency ?? "EUR";
  const geo = pick(ortb2?.device?.geo, "country", "region");
  const device = {
    ...pick(ortb2?.device, "devicetype"),
    ...(isEmpty(geo) ? {} : { geo }),
  };
  const regs = regsOf(bidderRequest);
  const consent = consentOf(bidderRequest);
  const schain = chainOf(bids, ortb2);
  return {
    id: bidderRequest.bidderRequestId,
    imp: bids.map((bid) => impOf(bid, currency)),
    site: siteOf(ortb2?.site, bidderRequest, params),
    ...(isEmpty(device) ? {} : { device }),
    ...(isEmpty(regs) ? {} : { regs }),
    ...(consent ? { user: { consent } } : {}),
    ...(schain ? { source: { schain } } : {}),
    ...pick(ortb2, "bcat", "badv", "cattax"),
    at: 1, // Prebid's own auction is one of first prices
    cur: [currency],
    tmax: bidderRequest.timeout,
  };
};

// Bids of one request go to one server for one publisher in one currency.
const grouped = (bids) => {
  const groups = new Map();
  for (const bid of bids) {
    const { endpoint, publisher, currency } = bid.params;
    const key = JSON.stringify([endpoint, publisher, currency]);
    groups.set(key, [...(groups.get(key) ?? []), bid]);
  }
  return [...groups.values()];
};

// Filled in once: what was put in is not looked at again.
const filled = (url, bid) => {
  const values = {
    PRICE: bid.originalCpm ?? bid.cpm,
    CURRENCY: bid.originalCurrency ?? bid.currency,
  };
  const value = (_, name) => encodeURIComponent(values[name] ?? "");
  return url.replace(/\$\{AUCTION_([A-Z_]+)\}/g, value);
};

const shownAs = (bid) =>
  bid.mtype === 2 ? { mediaType: VIDEO, vastXml: bid.adm } : { mediaType: BANNER, ad: bid.adm };

export const spec = {
  code: CODE,
  supportedMediaTypes: [BANNER, VIDEO],

  isBidRequestValid: ({ params }) =>
    typeof params?.publisher === "string" && params.publisher !== "" && endpointOf(params) !== null,

  buildRequests: (validBidRequests, bidderRequest) =>
    grouped(validBidRequests).map((bids) => ({
      method: "POST",
      url: endpointOf(bids[0].params),
      data: requestOf(bids, bidderRequest),
      // Without credentials: the server knows nobody, so that nobody has a cookie of it.
      options: { contentType: "application/json", withCredentials: false },
    })),

  interpretResponse: (serverResponse, request) => {
    const response = serverResponse?.body;
    const asked = new Set(request.data.imp.map((imp) => imp.id));
    const bids = (response?.seatbid ?? []).flatMap((seat) => seat.bid ?? []);
    return bids
      .filter((bid) => asked.has(bid.impid) && bid.price > 0 && bid.adm)
      .map((bid) => ({
        requestId: bid.impid,
        cpm: bid.price,
        currency: response.cur ?? "USD",
        width: bid.w,
        height: bid.h,
        creativeId: bid.crid,
        netRevenue: true,
        ttl: bid.exp ?? TTL_S,
        meta: { advertiserDomains: bid.adomain ?? [], primaryCatId: bid.cat?.[0] },
        ...(bid.dealid ? { dealId: bid.dealid } : {}),
        ...(bid.ext?.dsa ? { ext: { dsa: bid.ext.dsa } } : {}),
        ringworkWon: bid.nurl,
        ...shownAs(bid),
      }));
  },

  // A win counts nothing: the markup reports its own impression.
  onBidWon: (bid) => {
    if (!bid.ringworkWon) return;
    const beacon = { mode: "no-cors", credentials: "omit", keepalive: true };
    fetch(filled(bid.ringworkWon, bid), beacon).catch(() => {});
  },

  getUserSyncs: () => [],
};

registerBidder(spec);
