"""One trial of challenger-study: data, model, method, training loop and metrics.

Only :mod:`trainables.ray_trainable` knows Ray; everything else runs where there is torch alone.
"""
