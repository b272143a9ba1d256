"""A p-value that says how small it could have been."""


class PValue(float):
    """A p-value: a float that also knows its `floor`, the smallest value that its test could have given.

    A p-value at its floor asks for more draws, or says that this many labellings cannot tell more.

    Examples
    --------
    >>> p = PValue(0.001, floor=0.001)
    >>> p < 0.05, p == p.floor, p
    (True, True, PValue(0.001, floor=0.001))
    """

    floor: float

    def __new__(cls, value: float, floor: float) -> "PValue":
        """Make one of a value and a floor."""
        made = super().__new__(cls, value)
        made.floor = float(floor)
        return made

    @property
    def value(self) -> float:
        """The p-value as a plain float."""
        return float(self)

    @property
    def at_floor(self) -> bool:
        """Whether it is as small as it could have been."""
        return float(self) <= self.floor * (1 + 1e-9)

    def __reduce__(self) -> tuple[type["PValue"], tuple[float, float]]:
        return PValue, (float(self), self.floor)

    def __repr__(self) -> str:
        return f"PValue({float(self):.4g}, floor={self.floor:.4g})"

    def __str__(self) -> str:
        return float.__repr__(self)
