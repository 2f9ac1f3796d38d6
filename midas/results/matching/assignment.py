"""Partners of least total cost on a sparse table of candidates, and how clear each choice is.

See docs/theory/matching.md#best-pairs-as-a-whole and docs/theory/matching.md#how-clear-a-link-is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra, min_weight_full_bipartite_matching

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

#: sources of shortest paths at a time, so that the table of distances stays small
_AT_ONCE = 256
#: SciPy takes a weight of 0 for no edge
_TINY = 1e-9


def assign(
    rows: Indices, columns: Indices, cost: Floats, shape: tuple[int, int], alone: float | None = None
) -> Indices:
    """Which candidates are pairs: each row and column in one at most, the sum of costs and of `alone` least.

    Parameters
    ----------
    rows, columns, cost : (k,) the candidates, each once, with finite costs
    shape : numbers of rows and of columns
    alone : what a row without a partner costs; by default more than any choice of candidates, so that there are as many
        pairs as possible

    Returns
    -------
    indices of the chosen candidates, by their rows
    """
    if alone is None:
        alone = 1.0 + 2.0 * min(shape) * float(cost.max(initial=0.0))
    good = np.flatnonzero(cost < alone)
    if not len(good):
        return np.empty(0, np.intp)
    # Only rows that have a choice, each with a column of its own for none.
    used, row = np.unique(rows[good], return_inverse=True)
    taken, column = np.unique(columns[good], return_inverse=True)
    n, m = len(used), len(taken)
    lowest = float(cost[good].min())
    weights = np.concatenate([cost[good] - lowest, np.full(n, alone - lowest)]) + 1.0
    where = np.concatenate([row, np.arange(n)]), np.concatenate([column, m + np.arange(n)])
    _, chosen = min_weight_full_bipartite_matching(csr_array((weights, where), shape=(n, m + n)))
    which = csr_array((np.arange(1, len(good) + 1), (row, column)), shape=(n, m))
    paired = np.flatnonzero(chosen < m)
    picked = np.asarray(which[paired, chosen[paired]]).ravel().astype(np.intp) - 1
    result: Indices = good[picked]
    return result


def margins(
    rows: Indices,
    columns: Indices,
    cost: Floats,
    shape: tuple[int, int],
    alone: float,
    pairs: Indices,
    limit: float,
) -> Floats:
    """By how much the best choice without a pair is worse in sum than the best of all; infinity above `limit`.

    Left out of account is the choice that only parts the two: that is a matter of the pair's own cost.

    Parameters
    ----------
    rows, columns, cost, shape, alone : as of `assign`
    pairs : (p,) what that gave
    limit : margins above it do not matter

    Returns
    -------
    (p,)
    """
    graph = _exchanges(rows, columns, cost, shape, alone, pairs)
    out = np.full(len(pairs), np.inf)
    if graph is None:
        return out
    nodes, source, target, weight, spare = graph
    potential = _potentials(len(nodes) + 1, source, target, weight)
    reduced = np.maximum(weight + potential[source] - potential[target], 0.0) + _TINY
    size = len(nodes) + 1
    cheapest = _cheapest(source, target, reduced)
    forward = csr_array((reduced[cheapest], (source[cheapest], target[cheapest])), shape=(size, size))
    backward = csr_array(forward.T)
    # The step of a pair into being parted, and from being parted, does not count as its first or last one.
    own = ~spare
    node_of = {int(node): k for k, node in enumerate(nodes.tolist())}
    wanted = [(k, node_of[row]) for k, row in enumerate(rows[pairs].tolist()) if row in node_of]
    # Neither does the step by which nobody gives a partner away count as the last one.
    edges_out, edges_in = _edges_of(source, own, size), _edges_of(target, source < size - 1, size)
    for start in range(0, len(wanted), _AT_ONCE):
        part = wanted[start : start + _AT_ONCE]
        sources = [node for _, node in part]
        reach = dijkstra(forward, indices=sources, limit=limit + 1.0)
        back = dijkstra(backward, indices=sources, limit=limit + 1.0)
        for i, (k, node) in enumerate(part):
            leave, enter = edges_out[node], edges_in[node]
            away = np.min(reduced[leave] + back[i, target[leave]], initial=np.inf)
            out[k] = np.min(reduced[enter] + reach[i, source[enter]], initial=away)
    return np.where(out <= limit, out, np.inf)


def _exchanges(
    rows: Indices, columns: Indices, cost: Floats, shape: tuple[int, int], alone: float, pairs: Indices
) -> tuple[Indices, Indices, Indices, Floats, NDArray[np.bool_]] | None:
    """What can be exchanged: an edge leads from a row to the one whose partner it takes, with the change of its cost.

    The last node stands for nobody: a row goes there that takes a column without a partner, or stays alone (the edges
    marked as spare), and from there to every row, whose partner is then left alone.
    """
    if alone is None:
        alone = 1.0 + 2.0 * min(shape) * float(cost.max(initial=0.0))
    good = np.flatnonzero(cost < alone)
    partner_of_column = np.full(shape[1], -1, np.intp)
    partner_of_column[columns[pairs]] = rows[pairs]
    own = np.full(shape[0], alone)
    own[rows[pairs]] = cost[pairs]
    is_pair = np.zeros(len(cost), bool)
    is_pair[pairs] = True
    others = good[~is_pair[good]]
    if not len(others):
        return None
    touched = np.concatenate([rows[others], partner_of_column[columns[others]]])
    nodes = np.unique(touched[touched >= 0])
    index = np.full(shape[0] + 1, len(nodes), np.intp)  # the last one, of partner -1: nobody
    index[nodes] = np.arange(len(nodes))
    paired = np.isin(nodes, rows[pairs])
    nobody = len(nodes)
    source = np.concatenate([index[rows[others]], np.flatnonzero(paired), np.full(len(nodes), nobody)])
    target = np.concatenate(
        [index[partner_of_column[columns[others]]], np.full(np.count_nonzero(paired), nobody), np.arange(len(nodes))]
    )
    weight = np.concatenate([cost[others] - own[rows[others]], alone - own[nodes[paired]], np.zeros(len(nodes))])
    spare = np.zeros(len(source), bool)
    spare[len(others) : len(others) + np.count_nonzero(paired)] = True
    return nodes, source, target, weight, spare


def _cheapest(source: Indices, target: Indices, weight: Floats) -> Indices:
    """Of several edges between two nodes the one of least weight."""
    order = np.lexsort((weight, target, source))
    first = np.ones(len(order), bool)
    first[1:] = (np.diff(source[order]) != 0) | (np.diff(target[order]) != 0)
    kept: Indices = order[first]
    return kept


def _potentials(count: int, source: Indices, target: Indices, weight: Floats) -> Floats:
    """Shortest distances from a node before all: what makes every edge of a graph without negative circles positive."""
    potential = np.zeros(count)
    for _ in range(count):
        shorter = potential.copy()
        np.minimum.at(shorter, target, potential[source] + weight)
        if np.allclose(shorter, potential, rtol=0, atol=1e-12):
            break
        potential = shorter
    return potential


def _edges_of(nodes: Indices, kept: NDArray[np.bool_], count: int) -> list[Indices]:
    """The edges of every node, of those that are kept."""
    edges = np.flatnonzero(kept)
    order = edges[np.argsort(nodes[edges], kind="stable")]
    return np.split(order, np.searchsorted(nodes[order], np.arange(1, count)))
