"""How many threads loops use."""

from routesig import _core
from routesig._options import whole_number

_MOST = 1024  # kMaxThreads of parallel.hpp


def set_num_threads(count: int) -> None:
    """Set the number of threads of later calls. It changes no result.

    Parameters
    ----------
    count : int
        0: ROUTESIG_NUM_THREADS, else the processors available.

    Returns
    -------
    None

    Raises
    ------
    ValueError
        On what is no whole number from 0 to 1024.

    Examples
    --------
    >>> set_num_threads(2)
    >>> _core.num_threads()
    2
    >>> set_num_threads(0)
    """
    _core.set_num_threads(whole_number("set_num_threads", "count", count, most=_MOST))
