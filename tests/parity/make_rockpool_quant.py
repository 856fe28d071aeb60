"""Golden vectors of Rockpool's rounding functions, written to rockpool_quant.npz.

Values and gradients of deterministic_rounding, stochastic_rounding, stochastic_channel_rounding,
int_quant, t_decay, dropout and the two passthrough functions. The random ones get stored draws in
place of torch.rand. Left out are the settings in which Rockpool is at fault: int_quant with
map_to_max at fewer bits than the most, int_quant without maintain_zero on a range that does not
begin at zero, arrays of zeros, and decays outside (0, 1).

Run by rockpool 3.1.0, torch 2.13.0 (CPU) and numpy 2.4.6 on Python 3.11:

    python tests/parity/make_rockpool_quant.py

Its import tries to install a vendor package, so a stub of samna is put in sys.modules first (by
`_rockpool`).
"""

import warnings
from itertools import product
from unittest.mock import patch

import numpy as np
from _rockpool import array, save, torch
from rockpool.transform import torch_transform as tt

SHAPE = (9, 7)
# Which of two levels a number goes to must not hang on the last bits.
MARGIN = 1e-3
LEVELS = (2, 3, 4, 15, 16, 255, 256)
RANGES = {
    "": {},
    "_in": {"input_range": [-1.5, 2.25]},
    "_out": {"output_range": [-12.0, 10.0]},
    "_in_out": {"input_range": [-2.0, 2.0], "output_range": [-127.0, 127.0]},
}
DATA = ("normal", "tied", "positive")


def settings():
    """Yield the name, the function and the settings of every case."""
    for levels, zero, (name, ranges) in product(LEVELS, (True, False), RANGES.items()):
        case = {"num_levels": levels, "maintain_zero": zero, "data": "normal"} | ranges
        for function in ("deterministic_rounding", "stochastic_rounding"):
            yield f"{function}_{levels}_{'zero' if zero else 'free'}{name}", function, case
    for levels, zero, data in product((4, 15), (True, False), DATA[1:]):
        case = {"num_levels": levels, "maintain_zero": zero, "data": data}
        for function in ("deterministic_rounding", "stochastic_rounding"):
            yield f"{function}_{levels}_{'zero' if zero else 'free'}_{data}", function, case
    ends = ([-6.0, 6.0], [-127.0, 127.0], [0.0, 10.0])
    for levels, zero, out in product((2, 3, 4, 16, 256), (True, False), ends):
        case = {"num_levels": levels, "maintain_zero": zero, "data": "normal", "output_range": out}
        function = "stochastic_channel_rounding"
        yield f"{function}_{levels}_{'zero' if zero else 'free'}_{out[1]:.0f}", function, case
    for bits, data in product((2, 3, 4, 5, 6, 7, 8, 12, 16), DATA):
        yield f"int_quant_{bits}_{data}", "int_quant", {"n_bits": bits, "data": data}
    for bits in (2, 4, 8):
        name, case = f"int_quant_{bits}", {"n_bits": bits}
        free = {"maintain_zero": False, "data": "from_zero"}
        to_max = {"map_to_max": True, "max_n_bits": bits, "data": "normal"}
        yield f"{name}_free", "int_quant", case | free
        yield f"{name}_to_max", "int_quant", case | to_max
    for rate in (0.0, 0.2, 0.5, 0.9):
        yield f"dropout_{rate}", "dropout", {"dropout_prob": rate, "data": "normal"}
    for data in ("decays", "slow_decays"):
        yield f"t_decay_{data}", "t_decay", {"data": data}
    for function in ("round_passthrough", "floor_passthrough"):
        yield function, function, {"data": "normal"}


def draw(rng, data):
    """Draw the numbers to round, the weights of the loss, and the random numbers."""
    x = rng.standard_normal(SHAPE)
    if data == "tied":
        x = np.clip(x, -0.75, 0.75)
    elif data == "positive":
        x = 0.5 + np.abs(x)
    elif data == "from_zero":
        x = np.abs(x)
    elif data == "decays":
        x = rng.uniform(0.02, 0.99, SHAPE)
    elif data == "slow_decays":
        x = 1 - np.exp2(-rng.uniform(1, 12, SHAPE))
    if data not in ("positive", "decays", "slow_decays"):
        x[0, 0] = 0.0
    weights, uniform = rng.standard_normal(SHAPE), rng.uniform(0.01, 0.99, SHAPE)
    return (torch.tensor(v, dtype=torch.float32) for v in (x, weights, uniform))


def call(function, x, case, uniform):
    """Run Rockpool's function with the draws given."""
    arguments = {name: value for name, value in case.items() if name not in ("data", "function")}
    per_channel = function == "stochastic_channel_rounding"
    draws = list(uniform.T) if per_channel else [uniform]
    with patch.object(torch, "rand", side_effect=draws), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # t_decay builds a tensor of a tensor
        return getattr(tt, function)(x, **arguments)


def hanging(function, x, case, uniform):
    """Whether a number is so near to where the result jumps that another last bit decides."""
    x, u = x.double().numpy(), uniform.double().numpy()
    if function == "t_decay":
        level = np.log2(-1 / np.log(x))
    elif function == "int_quant":
        level = x * (2 ** (case["n_bits"] - 1) - 1) / np.abs(x).max()
    elif function.endswith("rounding"):
        axis = 0 if function == "stochastic_channel_rounding" else None
        top = np.abs(x).max(axis)
        low, high = (-top, top) if case["maintain_zero"] else (x.min(axis), x.max(axis))
        low, high = case.get("input_range", (low, high))
        level = (x - low) * (case["num_levels"] - 1) / (high - low)
    else:
        return np.abs(u - case.get("dropout_prob", -1)).min() < MARGIN
    if function.startswith("stochastic"):
        gap = np.abs(level - u - np.round(level - u))
    else:
        gap = 0.5 - np.abs(level - np.round(level))
        gap[x == 0] = 1.0  # a tie to every bit, if one
    return gap.min() < MARGIN


def evolve(number, function, case):
    """Draw until the draw is fair, and give the arrays of the case."""
    for attempt in range(2000):
        x, weights, uniform = draw(np.random.default_rng((number, attempt)), case["data"])
        if not hanging(function, x, case, uniform):
            break
    else:
        raise RuntimeError(f"{function} {case}: no fair draw")
    x.requires_grad_()
    if function == "stochastic_channel_rounding":
        # It rounds in place and has no gradient, but each of its columns has in the plain function.
        columns = zip(x.T, uniform.T, strict=True)
        y = torch.stack([call("stochastic_rounding", c, case, u) for c, u in columns], 1)
        assert torch.equal(y, call(function, x.detach().clone(), case, uniform))
    else:
        y = call(function, x, case, uniform)
    (y * weights).sum().backward()
    arrays = {"x": x, "out": y, "loss": weights, "grad": x.grad}
    if function.startswith("stochastic") or function == "dropout":
        arrays["uniform"] = uniform
    return {name: array(value) for name, value in arrays.items()}


def main():
    """Run every case and save all of them."""
    cases, everything = {}, {}
    for number, (name, function, case) in enumerate(settings()):
        arrays = evolve(number, function, case)
        assert all(np.isfinite(value).all() for value in arrays.values()), name
        cases[name] = {"function": function} | case
        everything |= {f"{name}/{key}": value for key, value in arrays.items()}
    counts = [case["function"] for case in cases.values()]
    print({function: counts.count(function) for function in dict.fromkeys(counts)})
    save(__file__, cases, everything)


if __name__ == "__main__":
    main()
