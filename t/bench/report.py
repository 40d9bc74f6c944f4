"""What came out: medians, ratios to floor, verdicts, a table and a JSON."""
import os
import platform
import statistics
import subprocess

UNIT = {
    "connect": ("new connections with a 1 KiB exchange", "µs CPU each",
                "conn/s"),
    "pingpong": ("64-byte round trips on 100 tunnels", "µs CPU each", "rt/s"),
    "down": ("bulk down, 8 tunnels", "ms CPU per GB", "MB/s"),
    "up": ("bulk up, 8 tunnels", "ms CPU per GB", "MB/s"),
    "paced": ("bulk down, 12 tunnels of 250 Mbit/s", "ms CPU per GB", "MB/s"),
    "udp": ("50,000 datagrams a second there and back, 50 associations",
            "µs CPU each", "1/s"),
    "udp-burst": ("the same in bursts of 8", "µs CPU each", "1/s"),
    "policy": ("new connections with a login, 1,000 users, 1,000 rules",
               "µs CPU each", "conn/s"),
    "http": ("requests of HTTP that are forwarded, 64 connections that stay",
             "µs CPU each", "1/s"),
    "http-connect": ("new connections by CONNECT with a 1 KiB exchange",
                     "µs CPU each", "conn/s"),
    "tls": ("new connections with TLS 1.3, P-256, and a 1 KiB exchange",
            "µs CPU each", "conn/s"),
    "tls-down": ("bulk down, 8 tunnels with TLS 1.3", "ms CPU per GB",
                 "MB/s"),
    "tls-up": ("bulk up, 8 tunnels with TLS 1.3", "ms CPU per GB", "MB/s"),
}
# Whose figure the others are held against, and the same once more.
BASE = {"http": ("nginx", "nginx2"), "http-connect": ("spliced-s5", ""),
        **dict.fromkeys(("tls", "tls-down", "tls-up"), ("nginx", "nginx2"))}
FLOOR = ("floor", "floor2")
# What spliced has to reach: at most this share of the other's figure.
TARGETS = {
    "connect": (("floor", 1.20), ("microsocks", 0.75), ("danted", 0.35)),
    "pingpong": (("floor", 1.10), ("danted", 0.80), ("haproxy", 0.80)),
    "down": (("floor", 1.10), ("haproxy-sp", 0.85), ("danted", 0.45)),
    "up": (("floor", 1.10), ("haproxy-sp", 0.85), ("danted", 0.45)),
    "paced": (("floor", 1.10),),
    "idle": (("microsocks", 0.10),),
    "udp": (("danted", 0.50),),
    "udp-burst": (("danted", 0.50),),
    "policy": (("floor", 1.25),),
    "http": (("nginx", 1.0), ("haproxy", 1.0), ("squid", 0.4)),
    "http-connect": (("spliced-s5", 1.0),),
    "tls": (("nginx", 1.1),),
    "tls-down": (("nginx", 1.05),),
    "tls-up": (("nginx", 1.05),),
}
LATENCY = ("connect", "pingpong", "udp", "udp-burst", "policy", "http",
           "http-connect", "tls")
# What the admin listener, scraped each second, may cost, beyond what two equals
# differ by in the same rounds.
ADMIN = 1.02
IDLE_BYTES = {"idle": 800, "tls-idle": 12 << 10}
FAIR_P99_US = 20000
UDP_LOSS = 0.001
FLOOD_P99_US = 2000
VOID = 0.05  # by how much the second floor may differ from the first
FLOOR_TO_NGINX = 1.20


def figures(work, sample):
    """CPU per unit of work, and the rate, of one measurement."""
    if work in LATENCY:
        units = max(sample["units"], 1)
        return sample["cpu"] / units * 1e6, units / sample["seconds"]
    units = max(sample["bytes"], 1)
    return (sample["cpu"] / units * 1e12,
            units / sample["seconds"] / 1e6)


def merged(one, other):
    """Two measurements of one round as one that was longer."""
    if not one:
        return other
    out = dict(other)
    for key in ("cpu", "units", "bytes", "seconds", "failed", "sent",
                "received"):
        if key in one:
            out[key] = one[key] + other[key]
    for key in ("p50_us", "p90_us", "p99_us"):
        out[key] = (one[key] + other[key]) / 2
    out["max_us"] = max(one["max_us"], other["max_us"])
    out["errors"] = {k: one["errors"][k] + v
                     for k, v in other["errors"].items()}
    return out


def middle(values):
    return statistics.median(values) if values else float("nan")


def spread(values):
    """Half of what lies between the quartiles, as a share of the median."""
    if len(values) < 3:
        return float("nan")
    low, _, high = statistics.quantiles(values, n=4)
    return (high - low) / 2 / (middle(values) or 1)


def ratio(rounds, work, one, other):
    """Median over the rounds of one/other within the same round."""
    shares = []
    for samples in rounds:
        a, b = (samples.get((name, work)) for name in (one, other))
        if a and b and not a["failed"] and not b["failed"]:
            base = figures(work, b)[0]
            if base:
                shares.append(figures(work, a)[0] / base)
    return middle(shares), spread(shares), len(shares)


def lost(samples):
    """The share of the datagrams that did not come back."""
    sent = sum(s["sent"] for s in samples)
    return 1 - sum(s["received"] for s in samples) / sent if sent else 1.0


def first_line(*command):
    try:
        out = subprocess.run(command, capture_output=True, text=True,
                             check=False, cwd=os.path.dirname(__file__)
                             or ".").stdout
    except OSError:
        return ""
    return out.strip().split("\n")[0]


def machine():
    cpu = ""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as text:
        for line in text:
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
                break
    changed = first_line("git", "status", "--porcelain",
                         "--untracked-files=no")
    commit = first_line("git", "rev-parse", "--short=12", "HEAD")
    return {"kernel": platform.release(), "cpu": cpu,
            "cpus": os.cpu_count(),
            "commit": (commit or "none") + ("+changes" if changed else ""),
            "load_before": os.getloadavg()[0]}


def medians(samples, keys):
    good = [s for s in samples if not s["failed"]]
    return {**{key: middle([s[key] for s in good]) for key in keys},
            "failed_rounds": len(samples) - len(good)}


def summary(rounds, idle, fair, flood, names):
    """Everything that the table says, as plain data."""
    out = {"work": {}, "idle": idle, "fairness": {}, "flood": {}}
    for work in UNIT:
        rows = {}
        for name in names:
            samples = [r[name, work] for r in rounds if (name, work) in r]
            good = [s for s in samples if not s["failed"]]
            if not samples:
                continue
            cost = [figures(work, s)[0] for s in good]
            share, share_spread, n = ratio(rounds, work, name,
                                           BASE.get(work, FLOOR)[0])
            rows[name] = {
                "cost": middle(cost), "spread": spread(cost),
                "rate": middle([figures(work, s)[1] for s in good]),
                "p50_us": middle([s["p50_us"] for s in good]),
                "p99_us": middle([s["p99_us"] for s in good]),
                "max_us": max([s["max_us"] for s in good], default=0),
                "ratio": share, "ratio_spread": share_spread, "rounds": n,
                "failed_rounds": len(samples) - len(good),
                "errors": [s["errors"] for s in samples if s["failed"]][:3],
            }
            if work.startswith("udp"):
                rows[name]["lost"] = lost(good)
        if rows:
            out["work"][work] = rows
    for name, samples in fair.items():
        out["fairness"][name] = medians(
            samples, ("p50_us", "p99_us", "max_us", "bulk_bytes_per_s"))
    for name, samples in flood.items():
        out["flood"][name] = medians(
            samples, ("p50_us", "p99_us", "max_us", "flood_sent_per_s",
                      "flood_back_per_s"))
        out["flood"][name]["lost"] = lost(
            [s for s in samples if not s["failed"]])
    return out


def verdict(ok, text):
    word = {True: "ok  ", False: "MISS", None: "VOID"}[ok]
    return {"ok": ok, "text": f"{word} {text}"}


def work_verdicts(rounds, work, rows):
    out = []
    base, again = BASE.get(work, FLOOR)
    share = rows.get(again, {}).get("ratio", float("nan"))
    void = bool(again) and not abs(share - 1) <= VOID
    if again in rows:
        out.append(verdict(None if void else True,
                           f"{work}: {again} / {base} {share:.3f} (within "
                           f"{VOID:.0%})"))
    for other, most in TARGETS[work]:
        share, _, n = ratio(rounds, work, "spliced", other)
        limit = "" if base != "floor" or other == base else \
            f"; floor {ratio(rounds, work, 'floor', other)[0]:.3f}"
        if n:
            out.append(verdict(
                None if void and other == base else share <= most,
                f"{work}: spliced / {other} {share:.3f} (at most "
                f"{most:.2f}{limit})"))
    if work == "connect":
        share, _, n = ratio(rounds, work, "floor", "nginx")
        if n:
            out.append(verdict(
                share <= FLOOR_TO_NGINX,
                f"connect: floor / nginx {share:.3f} (at most "
                f"{FLOOR_TO_NGINX:.2f})"))
    return out


def admin_verdicts(rounds, work, rows):
    """Of the same rounds, beside the daemon without it."""
    share, wide, n = ratio(rounds, work, "spliced-admin", "spliced")
    if not n:
        return []
    apart = abs(rows.get("floor2", {}).get("ratio", float("nan")) - 1)
    most = ADMIN + apart
    return [verdict(share <= most if apart <= VOID else None,
                    f"{work}: spliced-admin / spliced {share:.3f} ± "
                    f"{wide:.1%} (at most {most:.3f}: {ADMIN:.2f} and what "
                    f"floors differ by)")]


def idle_verdicts(work, subjects):
    out = []
    idle = {k: v["bytes"] for k, v in subjects.items() if "bytes" in v}
    if "spliced" in idle:
        out.append(verdict(idle["spliced"] <= IDLE_BYTES[work],
                           f"{work}: spliced {idle['spliced']:.0f} bytes a "
                           f"tunnel (at most {IDLE_BYTES[work]})"))
        if idle.get("microsocks"):
            share = idle["spliced"] / idle["microsocks"]
            out.append(verdict(share <= 0.10, f"{work}: spliced / microsocks "
                               f"{share:.3f} (at most 0.10)"))
    if "spliced-admin" in idle:
        out.append(verdict(idle["spliced-admin"] <= IDLE_BYTES[work],
                           f"{work}: spliced-admin "
                           f"{idle['spliced-admin']:.0f} bytes a tunnel (at "
                           f"most {IDLE_BYTES[work]})"))
    return out


def verdicts(rounds, result):
    """Floors that agree first: where they do not, nothing else counts."""
    out = []
    for work, rows in result["work"].items():
        out += work_verdicts(rounds, work, rows)
        out += admin_verdicts(rounds, work, rows)
    for work, subjects in result["idle"].items():
        out += idle_verdicts(work, subjects)
    fair = result["fairness"].get("spliced")
    if fair:
        out.append(verdict(fair["p99_us"] <= FAIR_P99_US,
                           f"fairness: spliced p99 {fair['p99_us'] / 1e3:.1f}"
                           f" ms (at most {FAIR_P99_US / 1e3:.0f})"))
    return out + udp_verdicts(result)


def udp_verdicts(result):
    out = []
    for work, rows in result["work"].items():
        if "lost" in rows.get("spliced", {}):
            out.append(verdict(
                rows["spliced"]["lost"] <= UDP_LOSS,
                f"{work}: spliced loses {rows['spliced']['lost']:.3%} (at "
                f"most {UDP_LOSS:.1%}; floor {rows['floor']['lost']:.3%})"))
    flood = result["flood"].get("spliced")
    if flood:
        floor = result["flood"]["floor"]["p99_us"] / 1e3
        out.append(verdict(
            flood["p99_us"] <= FLOOD_P99_US,
            f"udp: spliced p99 {flood['p99_us'] / 1e3:.2f} ms beside a flood "
            f"(at most {FLOOD_P99_US / 1e3:.0f}; floor {floor:.2f})"))
    return out


def number(value):
    if value != value:
        return "-"
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def table(head, result, what):
    """The text for people."""
    lines = [f"spliced bench: {head['cpu']} x {head['cpus']}, Linux "
             f"{head['kernel']}, commit {head['commit']}, {head['rounds']} "
             f"rounds, load before {head['load_before']:.2f}",
             "medians; ± is half the distance of the quartiles"]
    for work, rows in result["work"].items():
        title, unit, rate = UNIT[work]
        base = "/" + BASE.get(work, FLOOR)[0]
        lines += ["", f"{title}", f"  {'':13}{unit:>13}    ± {base:>8}"
                  f"    ± {rate:>10} {'p50 µs':>9} {'p99 µs':>9}"]
        for name, r in rows.items():
            note = f"  {r['failed_rounds']} rounds with errors" \
                if r["failed_rounds"] else ""
            lat = (number(r["p50_us"]), number(r["p99_us"])) \
                if work in LATENCY else ("", "")
            if "lost" in r:
                note = f"  {r['lost']:.3%} lost" + note
            lines.append(
                f"  {name:13}{number(r['cost']):>13} {r['spread']:4.0%} "
                f"{r['ratio']:8.3f} {r['ratio_spread']:4.0%} "
                f"{number(r['rate']):>10} {lat[0]:>9} {lat[1]:>9}{note}")
    for work, subjects in result["idle"].items():
        lines += ["", "user memory per idle tunnel"
                  + (" with TLS 1.3" if work == "tls-idle" else "")
                  + " (slope of PSS)"]
        for name, r in subjects.items():
            lines.append(f"  {name:12}" + (
                f"{r['bytes']:14,.0f} bytes" if "bytes" in r else
                f"  {r['failed']} tunnels failed: {r['errors']}"))
    if result["fairness"]:
        lines += ["", "64-byte round trips on 5 tunnels beside 4 bulk ones, "
                  "one worker", f"  {'':12}{'p50 ms':>14} {'p99 ms':>8} "
                  f"{'max ms':>8} {'bulk MB/s':>10}"]
    for name, r in result["fairness"].items():
        lines.append(
            f"  {name:12}{r['p50_us'] / 1e3:14.2f} {r['p99_us'] / 1e3:8.2f} "
            f"{r['max_us'] / 1e3:8.2f} {r['bulk_bytes_per_s'] / 1e6:10,.0f}"
            + (f"  {r['failed_rounds']} rounds with errors"
               if r["failed_rounds"] else ""))
    if result["flood"]:
        lines += ["", "datagrams there and back on 5 associations beside 10 "
                  "that flood, one worker", f"  {'':12}{'p50 ms':>14} "
                  f"{'p99 ms':>8} {'max ms':>8} {'lost':>8} {'flood /s':>10} "
                  f"{'back /s':>10}"]
    for name, r in result["flood"].items():
        lines.append(
            f"  {name:12}{r['p50_us'] / 1e3:14.2f} {r['p99_us'] / 1e3:8.2f} "
            f"{r['max_us'] / 1e3:8.2f} {r['lost']:8.2%} "
            f"{r['flood_sent_per_s']:10,.0f} {r['flood_back_per_s']:10,.0f}"
            + (f"  {r['failed_rounds']} rounds with errors"
               if r["failed_rounds"] else ""))
    lines += ["", "subjects: " + "; ".join(
        f"{n} {w['version']} ({w['what']})" for n, w in what.items())]
    lines += [""] + [v["text"] for v in result["verdicts"]]
    return "\n".join(lines)
