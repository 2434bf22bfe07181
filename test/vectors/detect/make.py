#!/usr/bin/env python3
"""Known answers for the detection tests, from SciPy 1.x and NumPy. Writes scipy.json beside this file.

    pip install numpy scipy
    python make.py
"""
import json
import pathlib

import numpy as np
import scipy
from scipy import optimize, stats
from scipy.spatial import distance

rng = np.random.default_rng(20131004)


def expand(positions, counts):
    return np.repeat(positions, counts)


def divergences():
    cases = []
    for cells in (2, 3, 8, 20):
        for _ in range(3):
            positions = np.cumsum(rng.integers(1, 9, cells)).astype(float)
            a = rng.integers(0, 40, cells) + np.r_[1, np.zeros(cells - 1, int)]
            b = rng.integers(1, 400, cells)
            p, q = a / a.sum(), b / b.sum()
            expected = (b + .5) / (b + .5).sum() * a.sum()
            cases.append({
                'positions': positions.tolist(), 'a': a.tolist(), 'b': b.tolist(),
                'ks': stats.ks_2samp(expand(positions, a), expand(positions, b), method='asymp').statistic,
                'wasserstein': stats.wasserstein_distance(positions, positions, a, b),
                'jensenShannon': distance.jensenshannon(p, q, base=2),
                'psi': float(np.sum((np.maximum(p, 1e-4) - np.maximum(q, 1e-4)) * np.log(np.maximum(p, 1e-4) / np.maximum(q, 1e-4)))),
                'chiSquare': stats.chisquare(a, q * a.sum()).statistic,
                'g': stats.power_divergence(a, expected, lambda_='log-likelihood').statistic,
                'freedom': max(1, int((expected > .5).sum()) - 1),
            })
    return cases


def tails():
    z = [0, .1, .5, 1, 1.96, 2.4999, 2.5, 3, 4.5, 6, 8, 12, 20, 35]
    return {
        'normal': [[x, stats.norm.sf(x)] for x in z],
        'gumbel': [[x, loc, scale, stats.gumbel_r.sf(x, loc, scale)]
                   for x in (-1., 0., 1., 3., 8., 20., 60.) for loc, scale in ((0., 1.), (2.3, .8))],
        'cauchy': [[ps, float(stats.cauchy.sf(np.mean(stats.cauchy.isf(np.clip(ps, 1e-15, .8)))))]
                   for ps in ([.5], [.01, .5], [1e-6, .8, .99, 1.], [.2, .3, .4], [1e-12, .5, .5])],
    }


def logistic():
    """Ridge logistic regression on one-hot features; the intercept is free (1e-9), every weight has the penalty w²/2."""
    rows, sizes = 400, [3, 4]
    codes = np.column_stack([rng.integers(0, s, rows) for s in sizes])
    x = np.zeros((rows, 1 + sum(sizes)))
    x[:, 0] = 1
    x[np.arange(rows), 1 + codes[:, 0]] = 1
    x[np.arange(rows), 1 + sizes[0] + codes[:, 1]] = 1
    score = -.3 + np.array([1.2, -.4, 0.])[codes[:, 0]] + np.array([0., 2., -1., -.5])[codes[:, 1]]
    y = (rng.random(rows) < 1 / (1 + np.exp(-score))).astype(int)

    def objective(w):
        m = np.where(y == 1, 1, -1) * (x @ w)
        return np.logaddexp(0, -m).sum() + .5 * (w[1:] ** 2).sum()

    w = optimize.minimize(objective, np.zeros(x.shape[1]), method='BFGS', options={'gtol': 1e-9}).x
    p = 1 / (1 + np.exp(-(x @ w)))
    given = np.where(y == 1, p, 1 - p)
    return {'codes': codes.tolist(), 'labels': y.tolist(), 'features': sizes, 'weights': w.tolist(), 'loss': float(-np.log(given).sum())}


if __name__ == '__main__':
    out = {'scipy': scipy.__version__, 'divergences': divergences(), 'tails': tails(), 'logistic': logistic()}
    target = pathlib.Path(__file__).resolve().parent / 'scipy.json'
    target.write_text(json.dumps(out, indent=1) + '\n')
    print(target)
