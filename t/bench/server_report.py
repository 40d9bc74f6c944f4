"""What came out of server.py: tables, verdicts, a plot."""
import dataclasses
import os
import shutil
import subprocess

from report import VOID, middle, number, spread, verdict

OURS = "http-server"
IDLE_BYTES = 8192
# Of these libraries for Go nothing can be had here: CPU per request of one
# earlier run, in µs, that is worth something beside the floor of that run.
GO_FLOOR = {"close": 45, "keep": 12.3, "sleep": 13, "close-16k": 46,
            "aes-close": 46, "aes-keep": 12.3}
GO = {
    "close": {"tcpserver": 77, "gnet": 70, "evio": 68, "fasthttp": 75},
    "keep": {"tcpserver": 18.0, "gnet": 18.5, "fasthttp": 21.8},
    "aes-close": {"tcpserver": 90, "gnet": 64},
    "aes-keep": {"tcpserver": 28.5, "gnet": 30},
    "sleep": {"tcpserver": 22},
    "close-16k": {"tcpserver": 88},
}
# Which of ours that floor was, where it is not the test's own: it did not
# encrypt.
GO_BASE = {"aes-close": "close", "aes-keep": "keep"}
# A quarter below them, where the floor itself leaves room for it.
GO_SHARE = 0.75
NO_ROOM = (("aes-close", "gnet"),)
NGINX = {"tls-keep": 0.7}


@dataclasses.dataclass(frozen=True)
class Test:
    name: str
    title: str
    size: int = 1024
    close: bool = False
    tls: bool = False
    aes: bool = False
    sleep_ms: int = 0
    bound: float = 0  # of our share of the floor's CPU; 0: none


TESTS = [
    Test("close", "1 kB, close", close=True, bound=1.12),
    Test("tls-close", "1 kB, close, TLS", close=True, tls=True),
    Test("keep", "1 kB, keep-alive", bound=1.10),
    Test("tls-keep", "1 kB, keep-alive, TLS", tls=True),
    Test("aes-close", "1 kB AES-128-CBC, close", close=True, aes=True,
         bound=1.15),
    Test("aes-keep", "1 kB AES-128-CBC, keep-alive", aes=True, bound=1.15),
    Test("sleep", "128 B after 1 ms, keep-alive", size=128,
         sleep_ms=1, bound=1.15),
    Test("close-16k", "16 kB, close", size=16384, close=True, bound=1.12),
]


def by_name(name):
    return next(t for t in TESTS if t.name == name)


def cost(sample):
    """µs of CPU per request."""
    return sample["cpu"] / max(sample["units"], 1) * 1e6


def good(sample):
    return sample and not sample["failed"] and sample["units"] > 0


def ratio(rounds, one, other):
    """
    Median over the rounds of one's cost / other's, where both had their load
    at the same time; each is (subject, test).
    """
    shares = []
    for r in rounds:
        a, b = (r["together"].get(key) for key in (one, other))
        if good(a) and good(b):
            shares.append(cost(a) / cost(b))
    return middle(shares), spread(shares), len(shares)


def row(rounds, name, test):
    samples = [s for r in rounds if (s := r["alone"].get((name, test)))]
    if not samples:
        return None
    fine = [s for s in samples if good(s)]
    share, share_spread, n = ratio(rounds, (name, test), ("floor", test))
    costs = [cost(s) for s in fine]
    return {"cost": middle(costs), "spread": spread(costs),
            "rate": middle([s["units"] / s["seconds"] for s in fine]),
            "ratio": share, "ratio_spread": share_spread, "rounds": n,
            "failed_rounds": len(samples) - len(fine)}


def summary(rounds, tests, idle, names):
    """Everything that the table says, as plain data."""
    out = {"tests": {}, "idle": idle}
    for test in tests:
        rows = {n: r for n in names if (r := row(rounds, n, test.name))}
        if rows:
            out["tests"][test.name] = rows
    return out


def go_verdicts(rounds, test):
    """Ours beside Go's, each as a ratio to the floor of its own run."""
    base = GO_BASE.get(test, test)
    share, _, n = ratio(rounds, (OURS, test), ("floor", base))
    if not n:
        return []
    out = []
    for name, value in GO.get(test, {}).items():
        theirs = value / GO_FLOOR[test]
        part = 1 if (test, name) in NO_ROOM else GO_SHARE
        out.append(verdict(
            share <= theirs * part,
            f"{test}: {OURS} {share:.2f} x floor, {name} (Go) {theirs:.2f} "
            f"(at most {theirs * part:.2f})"))
    return out


def test_verdicts(rounds, test, rows):
    out = []
    again = rows.get("floor2", {}).get("ratio", float("nan"))
    void = not abs(again - 1) <= VOID
    if "floor2" in rows:
        out.append(verdict(None if void else True,
                           f"{test}: second floor / floor {again:.3f} "
                           f"(within {VOID:.0%})"))
    bound = by_name(test).bound
    share, _, n = ratio(rounds, (OURS, test), ("floor", test))
    if bound and n:
        out.append(verdict(None if void else share <= bound,
                           f"{test}: {OURS} / floor {share:.3f} (at most "
                           f"{bound:.2f})"))
    share, _, n = ratio(rounds, (OURS, test), ("nginx", test))
    if n:
        bound = NGINX.get(test, 1)
        limit = ratio(rounds, ("floor", test), ("nginx", test))[0]
        out.append(verdict(share <= bound,
                           f"{test}: {OURS} / nginx {share:.3f} (at most "
                           f"{bound:.2f}; floor {limit:.3f})"))
    return out + go_verdicts(rounds, test)


def verdicts(rounds, result):
    out = []
    for test, rows in result["tests"].items():
        out += test_verdicts(rounds, test, rows)
    for count, size in result["idle"].get(OURS, {}).items():
        out.append(verdict(size <= IDLE_BYTES,
                           f"idle: {size:,.0f} bytes a connection at "
                           f"{count:,} (at most {IDLE_BYTES:,})"))
    return out


def share_of(value):
    return f"{value:4.0%}" if value == value else "   -"


def go_lines(test):
    for name, value in GO.get(test, {}).items():
        yield (f"  {name + ' (Go)':15}{'':>13} {'':>4} "
               f"{value / GO_FLOOR[test]:8.2f}")


def table(head, result, what):
    """The text for people."""
    lines = [f"spliced bench-server: {head['cpu']} x {head['cpus']}, Linux "
             f"{head['kernel']}, commit {head['commit']}, "
             f"{head['connections']} connections, {head['rounds']} rounds, "
             f"load before {head['load_before']:.2f}",
             "medians; ± is half the distance of the quartiles; /floor: under "
             "load at the same time;",
             "Go's libraries: of another run, to a floor without AES"]
    for test, rows in result["tests"].items():
        lines += ["", f"{test}: {by_name(test).title}",
                  f"  {'':15}{'µs CPU/req':>13}    ± {'/floor':>8}    ± "
                  f"{'requests/s':>11}"]
        for name, r in rows.items():
            note = f"  {r['failed_rounds']} rounds with errors" \
                if r["failed_rounds"] else ""
            lines.append(
                f"  {name:15}{r['cost']:13.2f} {share_of(r['spread'])} "
                f"{r['ratio']:8.3f} {share_of(r['ratio_spread'])} "
                f"{number(r['rate']):>11}{note}")
        lines += go_lines(test)
    if result["idle"]:
        lines += ["", "user memory of an idle keep-alive connection, bytes "
                  "(PSS, less that at rest)"]
    for name, found in result["idle"].items():
        lines.append(f"  {name:15}" + ", ".join(
            f"{size:,.0f} at {count:,}" for count, size in found.items()))
    lines += ["", "servers: " + "; ".join(
        f"{n} {w['version']} ({w['what']})".replace("  ", " ")
        for n, w in what.items())]
    lines += [""] + [v["text"] for v in result["verdicts"]]
    return "\n".join(lines)


# --- The plot ---------------------------------------------------------------

SCRIPT = """\
set terminal pngcairo size 1400,1000 font "sans,11"
set output "{png}"
set multiplot layout 2,1
set style data histograms
set style histogram clustered gap 1.5
set style fill solid 0.9 border -1
set boxwidth 0.9
set grid ytics
set key above
set bmargin 4.5
set yrange [0:*]
set xtics scale 0
set datafile separator "\\t"
set datafile missing "-"
set title "requests per second, {connections} connections, server on one CPU"
plot {rates}
set title "CPU per request, µs; not linear, for the sake of TLS handshakes"
set logscale y
set yrange [1:*]
plot {costs}
unset multiplot
"""


def columns(data, first, names):
    return ", ".join(
        f'"{data}" using {first + i}:xtic(1) title "{name}"'
        for i, name in enumerate(names))


def plot(result, png):
    """Draws both figures of all tests; returns what to say of it."""
    if not result["tests"]:
        return "not drawn: nothing was measured"
    if not shutil.which("gnuplot"):
        return "not drawn: gnuplot is missing: apt-get install gnuplot-nox"
    names = [n for n in ("floor", OURS, "nginx")
             if any(n in rows for rows in result["tests"].values())]
    data = os.path.splitext(png)[0] + ".dat"
    with open(data, "w", encoding="utf-8") as out:
        for test, rows in result["tests"].items():
            cells = [by_name(test).title.replace(", ", ",\\n")
                     .replace(" kB AES", " kB\\nAES")]
            for key in ("rate", "cost"):
                cells += [f"{rows[n][key]:.3f}" if n in rows else "-"
                          for n in names]
            out.write("\t".join(cells) + "\n")
    script = SCRIPT.format(
        png=png, connections=result["machine"]["connections"],
        rates=columns(data, 2, names),
        costs=columns(data, 2 + len(names), names))
    done = subprocess.run(["gnuplot"], input=script, text=True, check=False,
                          capture_output=True)
    if done.returncode:
        return "not drawn: " + done.stderr.strip()
    return f"drawn: {png}"
