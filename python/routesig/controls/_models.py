"""Control models that saw the same tokens: random weights, and rotated routers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from routesig import _core
from routesig._kinds import refused, traces_of
from routesig._left_out import LeftOut
from routesig._p_value import PValue


@dataclass(frozen=True)
class ControlValue:
    """One statistic of the real model beside that of the control models.

    Attributes
    ----------
    real : float
    controls : list of float
        One per seed.
    mean, low, high : float
        Of the controls: mean, smallest, largest.
    gain : float
        real - mean.
    p_value : PValue
        (1 + controls that reach the real value) / (1 + controls); its floor is the smallest it can be: few seeds
        cannot give a small p.
    """

    real: float
    controls: list[float]
    mean: float
    low: float
    high: float
    gain: float
    p_value: PValue

    @classmethod
    def of(cls, *value: Any) -> "ControlValue":
        """From what the core gives: all fields in order, then the floor of p."""
        real, controls, mean, low, high, gain, p, floor = value
        return cls(real, controls, mean, low, high, gain, PValue(p, floor))

    def __repr__(self) -> str:
        return (
            f"ControlValue(real={self.real:.4f}, controls={self.mean:.4f} [{self.low:.4f}, {self.high:.4f}], "
            f"gain={self.gain:.4f}, p={self.p_value:.4g}, floor={self.p_value.floor:.4g})"
        )


@dataclass(frozen=True)
class ControlComparison:
    """Result of `random_weights` and `rotated_router`.

    Attributes
    ----------
    name : str
        Which control this is.
    difference : ControlValue or None
        D, the mean within-task minus the mean across-task similarity.
    cohens_d : ControlValue or None
    layers : list of (ControlValue or None)
        D of every layer; p-values are not adjusted for the number of layers.
    left_out : list of LeftOut
    absent : dict
        Name of a field that is None -> why.
    """

    name: str
    difference: ControlValue | None
    cohens_d: ControlValue | None
    layers: list[ControlValue | None]
    left_out: list[LeftOut]
    absent: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"ControlComparison({self.name}, difference={self.difference!r}, cohens_d={self.cohens_d!r})"


def random_weights(
    real: _core.TraceSet,
    controls: Sequence[_core.TraceSet],
    *,
    tokens: str = "all",
    drop_invalid: bool = False,
    groups: bool = True,
) -> ControlComparison:
    """The separation of a trained model beside that of the same architecture with random weights.

    The control models must have been fed the trained model's recorded token ids (`rs.record(control, real)`), so that
    vocabulary and length are the same and only the weights differ. Untrained models separate tasks too, through their
    vocabulary.

    Parameters
    ----------
    real : TraceSet
        Of the trained model.
    controls : list of TraceSet
        One per seed; 19 allow p = .05. The same prompts and tokens in the same order.
    tokens : {"all", "prompt", "generation"}
    drop_invalid : bool
        Leave impossible rows out instead of refusing them.
    groups : bool
        Pairs of prompts of one group do not count. False: they do.

    Returns
    -------
    ControlComparison

    Raises
    ------
    ValueError
        On other prompts or tokens, on no control.

    Examples
    --------
    >>> import routesig as rs
    >>> def prompts(experts):
    ...     return rs.TraceSet([
    ...         rs.RoutingTrace.from_arrays([[[e]]], num_experts=3, token_ids=[i], task="aabb"[i], id=str(i))
    ...         for i, e in enumerate(experts)
    ...     ])
    >>> rs.controls.random_weights(prompts([0, 0, 1, 1]), [prompts([0, 0, 1, 2]), prompts([0, 1, 0, 1])]).difference
    ControlValue(real=1.0000, controls=0.0000 [-0.5000, 0.5000], gain=1.0000, p=0.3333, floor=0.3333)
    """
    return _compared("random weights", real, controls, tokens, drop_invalid, groups)


def rotated_router(
    real: _core.TraceSet,
    rotated: Sequence[_core.TraceSet],
    *,
    tokens: str = "all",
    drop_invalid: bool = False,
    groups: bool = True,
) -> ControlComparison:
    """Gain of the learned router over randomly rotated ones that read the same hidden states.

    Gain = D(W_r) - mean D(W_r Q), Q random orthogonal (Haar): does the learned router specialise, or would any hash of
    the hidden states separate tasks as well? The forward pass is the real router's throughout.

    Parameters
    ----------
    real : TraceSet
    rotated : list of TraceSet
        One per rotation, 20 advised; recorded beside the real router, with the same prompts and tokens.
    tokens, drop_invalid, groups
        As for `random_weights`.

    Returns
    -------
    ControlComparison
        `difference.gain`, with the range of the rotations in `low` and `high`.

    Raises
    ------
    ValueError
        On other prompts or tokens, on no rotation.

    Examples
    --------
    >>> import routesig as rs
    >>> prompts = rs.load_prompts()[::16]
    >>> traces = rs.record(rs.load_model(), prompts, max_new_tokens=0, rotated_routers=3, progress=False)
    >>> found = rs.controls.rotated_router(traces, traces.rotated)
    >>> len(found.difference.controls), found.difference.p_value.floor
    (3, 0.25)
    """
    return _compared("rotated router", real, rotated, tokens, drop_invalid, groups)


def _compared(
    name: str, real: _core.TraceSet, controls: Sequence[_core.TraceSet], tokens: str, drop_invalid: bool, groups: bool
) -> ControlComparison:
    who = name.replace(" ", "_")
    if not isinstance(controls, (list, tuple, Iterator)):
        raise refused(who, "a list of trace sets", controls)
    real = traces_of(who, real)
    difference, cohens_d, layers, unlabelled, empty = _core.compare_with_controls(
        real, [traces_of(who, control) for control in controls], tokens, drop_invalid, groups
    )
    reasons = dict.fromkeys(unlabelled, "no task") | dict.fromkeys(empty, "no token with known routing in some model")
    absent: dict[str, str] = {}
    if difference is None:
        absent["difference"] = "D needs two prompts of one task and prompts of two tasks"
    if cohens_d is None:
        absent["cohens_d"] = "d needs pairs of both kinds, with spread, in every model"
    return ControlComparison(
        name=name,
        difference=None if difference is None else ControlValue.of(*difference),
        cohens_d=None if cohens_d is None else ControlValue.of(*cohens_d),
        layers=[None if layer is None else ControlValue.of(*layer) for layer in layers],
        left_out=[LeftOut(real[i].id, reasons[i]) for i in sorted(reasons)],
        absent=absent,
    )
