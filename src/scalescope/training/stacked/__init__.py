"""The dense default family with all layers in one parameter a kind, and gradients written by hand.

The same function as `scalescope.training.network.Network`, several times as fast at widths of 16 to 200.
"""
