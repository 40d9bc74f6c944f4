"""p99 beside a load, held against p99 at rest, on a machine that varies.

Short windows of rest and of load take turns, and each pair has a ratio.  What
the machine itself does spoils single windows, and what it does for longer both
of a pair; what the daemon does it does in each window of load.  So the median
of the ratios is what is asked for.  All samples of either kind put together
would be fairer only where no window is spoiled: one stall of the machine of 100
ms makes one in a hundred of them.
"""
import statistics

PAIRS = 9
BOUND = 2.0


def ratios(rest, load, pairs=PAIRS):
    """Of load() to rest(), p99s in ms; printed as they come."""
    found = []
    for _ in range(pairs):
        a, b = rest(), load()
        print(f'p99 {a:.3f} ms at rest, {b:.3f} ms beside the load: '
              f'{b / a:.2f}')
        found.append(b / a)
    return found


def assert_within_bound(found):
    middle = statistics.median(found)
    print(f'median {middle:.2f} of {sorted(round(x, 2) for x in found)}')
    assert middle <= BOUND, sorted(found)
