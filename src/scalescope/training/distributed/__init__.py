"""One trainer over many processes: `torchrun ... -m scalescope.training.distributed --layout dp=2,tp=2`.

`mesh` places the ranks; `pipeline`, `tensor_parallel`, `expert_parallel`, `context_parallel`, `recomputation`
and `data_parallel` change a `Network` in this order, each alone; `engine` takes steps with what comes out.
"""
