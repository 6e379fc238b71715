"""Check a fairness log without Ringwork: python fairness_audit.py < LOG. Raises if it is wrong."""

import hashlib
import json
import sys
from fractions import Fraction

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def variance(segments, attribute, way):  # in 1e-9: half the sum of |delivered - eligible share|
    total, weight = [0] * 256, 0
    for eligible, release in segments:
        shares = eligible[attribute]["people_shares_ppb" if way else "shares_ppb"]
        sums = release["people_sums" if way else "sums"][attribute]
        n = release["people"] if way else release.get("counted", release["impressions"])
        excess = Fraction(sum(sums) - n * release["unit"][attribute], len(sums))
        known, weight = [one - excess for one in sums[: len(shares)]], weight + n
        for k, share in enumerate(shares):
            total[k] += n * (known[k] / sum(known) - Fraction(share, 10**9))
    return min(round(sum(map(abs, total)) / weight * 10**9 / 2), 10**9)


def within(row, segments, figures):  # [how likely, in 1e-6], or nothing: too few impressions
    figure, way = figures.get((row["attribute"], row.get("by")), {}), row["measure"]
    if sum(one["impressions"] for _, one in segments) < row["minimum_impressions"] + strict:
        return []
    if way == "expected" and figure:
        return [figure["within_ppm"][bounds.index(row["threshold_ppm"])]]
    found = figure.get(way + "_ppb", figure.get("interval_ppb", [0, None])[1])  # None: not shown
    return [10**6 * (found is not None and found <= row["threshold_ppm"] * 1000 - strict)]


key, prev, period, audiences, ads, active, figures = None, "0" * 64, None, {}, {}, {}, {}
for number, line in enumerate(sys.stdin.buffer):
    one = json.loads(line)
    told, sig, kind, body = one.pop("hash"), one.pop("sig", ""), one["kind"], one["body"]
    text = json.dumps(one, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    found = one["seq"], one["prev"], hashlib.sha256(text.encode()).hexdigest()
    assert found == (number, prev, told), f"record {number}: changed or out of place"
    prev, key, ad, way = told, key or body["public_key"], body.get("ad"), body.get("by")
    if sig or kind in ("genesis", "key", "report", "checkpoint"):
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
        public.verify(bytes.fromhex(sig), f"ringwork-fairness-log-v1\n{told}".encode())
    key = body.get("new_public_key", key)
    if kind == "plan":
        active = active if period == body.get("period") else {}
        period, strict, bounds = body.get("period"), not body["inclusive"], body["thresholds_ppm"]
    elif kind == "ad":
        audiences[ad] = number, body["eligible"]
    elif kind == "release":
        ads[ad] = active[ad] = {**ads.get(ad, {}), audiences[ad][0]: (audiences[ad][1], body)}
        figures[ad] = {}
    elif kind == "figure":
        assert body["proxy_ppb"] == variance(active[ad].values(), body["attribute"], way), number
        figures[ad][body["attribute"], way] = body
    for row in body["coverage"] if kind == "report" else ():
        held = [p for ad in active for p in within(row, active[ad].values(), figures[ad])]
        assert (len(held), round(Fraction(sum(held), 10**6))) == (row["ads"], row["within"]), row
        print(json.dumps(row))
