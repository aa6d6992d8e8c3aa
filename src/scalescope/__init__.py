"""scalescope: how transformers scale, before you pay for it."""
