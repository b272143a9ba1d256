"""Models to record: a Hugging Face folder on disk, or the small trained OLMoE that ships with the package."""

import functools
import importlib
import importlib.metadata
import importlib.util
import os
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routesig import _core
from routesig._files import path_of
from routesig._identity import model_name, sha256, weight_files
from routesig._options import real_number, whole_number
from routesig._tokenizer import decode_each, encode, load_tokenizer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TINY = "tiny-olmoe"
MOST_TOKENS = 2**31 - 1


class Model:
    """A mixture-of-experts language model, as `load_model` returns it. Token ids in, logits or token ids out.

    Attributes
    ----------
    tokenizer : tokenizers.Tokenizer or None
        None where the folder has no tokenizer.json.
    config : dict
        The model's configuration, checked.
    info : RoutingInfo
        Its routing shape.
    path : pathlib.Path
        The folder it was loaded from.
    """

    def __init__(self, native: Any, path: Path) -> None:
        self._native = native
        self.path = path

    @functools.cached_property
    def tokenizer(self) -> Any:
        return load_tokenizer(self._tokenizer_file) if self._tokenizer_file.is_file() else None

    @functools.cached_property
    def token_texts(self) -> list[str] | None:
        """The text of every token id, special ones included; None without a tokenizer."""
        if self.tokenizer is None:
            return None
        return decode_each(self.tokenizer, self._tokenizer_file, self.config["vocab_size"])

    def _encode(self, texts: Sequence[str], add_special_tokens: bool) -> list[list[int]]:
        """The token ids of texts, by the tokenizer that there is."""
        return encode(self.tokenizer, self._tokenizer_file, texts, add_special_tokens)

    @property
    def _tokenizer_file(self) -> Path:
        return self.path / "tokenizer.json"

    @property
    def config(self) -> dict[str, Any]:
        return dict(self._native.config)

    @property
    def info(self) -> _core.RoutingInfo:
        info: _core.RoutingInfo = self._native.info
        return info

    @property
    def device(self) -> str:
        """Where it runs, such as "cpu" or "cuda:0"."""
        return str(self._native.device)

    def forward(
        self, token_ids: Sequence[int] | Sequence[Sequence[int]], *, recorder: _core.RoutingRecorder | None = None
    ) -> "NDArray[np.float32] | list[NDArray[np.float32]]":
        """Logits of every token.

        Parameters
        ----------
        token_ids : list of int, or list of lists of int
            One prompt, or a batch of unequal lengths.
        recorder : TraceRecorder, optional
            Hears what the routers decide; the logits are the same bits with and without.

        Returns
        -------
        float32 [tokens, vocab], or list of them
            A list for a batch.

        Raises
        ------
        ValueError
            On an empty prompt, a token id outside the vocabulary, a prompt longer than the context.

        Examples
        --------
        >>> import routesig as rs
        >>> model = rs.load_model()
        >>> ids = model.tokenizer.encode("def add(a, b):").ids
        >>> model.forward(ids).shape == (len(ids), model.config["vocab_size"])
        True
        """
        batch, single = _as_batch(token_ids)
        logits = self._native.forward(batch, recorder=recorder)
        return logits[0] if single else list(logits)

    def generate(
        self,
        token_ids: Sequence[int] | Sequence[Sequence[int]],
        *,
        max_new_tokens: int = 32,
        temperature: float = 0.0,
        seed: int = 0,
        ignore_eos: bool = False,
        recorder: _core.RoutingRecorder | None = None,
    ) -> list[int] | list[list[int]]:
        """Continue a prompt, or every prompt of a batch.

        Parameters
        ----------
        token_ids : list of int, or list of lists of int
        max_new_tokens : int
        temperature : float
            0: the likeliest token; above: sampled, reproducibly for one `seed` whatever else is in the batch.
        ignore_eos : bool
            Go on after a stop token.
        recorder : TraceRecorder, optional

        Returns
        -------
        list of int, or list of lists of int
            The new ids alone, a stop token included: a list, or one list for each prompt.

        Raises
        ------
        ValueError
            As `forward`, and where prompt and new tokens together exceed the context.

        Examples
        --------
        >>> import routesig as rs
        >>> model = rs.load_model()
        >>> len(model.generate(model.tokenizer.encode("def add(a, b):").ids, max_new_tokens=4, ignore_eos=True))
        4
        """
        batch, single = _as_batch(token_ids)
        new = self._native.generate(
            batch,
            max_new_tokens=whole_number("generate", "max_new_tokens", max_new_tokens, most=MOST_TOKENS),
            temperature=real_number("generate", "temperature", temperature),
            seed=whole_number("generate", "seed", seed),
            ignore_eos=bool(ignore_eos),
            recorder=recorder,
        )
        return list(new[0]) if single else [list(ids) for ids in new]

    def __repr__(self) -> str:
        i = self.info
        shape = f"{i.layers} layers x {i.experts} experts x top-{i.top_k}"
        return f"Model({i.model_name!r}, {shape}, {i.model_dtype}, {self.device})"


def load_model(
    path: str | os.PathLike[str] | None = None,
    *,
    device: str = "auto",
    dtype: str = "auto",
    backend: str = "auto",
    random_weights: int | None = None,
) -> Model:
    """Load an OLMoE from a Hugging Face folder, or the small trained one that ships with the package.

    Parameters
    ----------
    path : path, optional
        A folder with `config.json`, `model.safetensors` (or the shards that `model.safetensors.index.json` names) and
        `tokenizer.json`. Default: the shipped model (no network). Traces call the model what its folder is called, and
        a snapshot in a Hugging Face cache what its repository is called: "allenai/OLMoE-1B-7B-0924".
    device : str
        "auto", "cpu", "cuda" or "cuda:N".
    dtype : {"auto", "float32", "bfloat16"}
        "auto": float32 for the shipped model (stored as bfloat16), else the checkpoint's.
    backend : {"auto", "torch"}
        What computes. "torch": LibTorch.
    random_weights : int, optional
        The same architecture untrained, drawn from this seed: a control.

    Returns
    -------
    Model

    Raises
    ------
    ImportError
        Where PyTorch is missing or of another minor version than the one built against.
    FormatError
        Where config.json and the weights disagree or are damaged, before anything is computed.

    References
    ----------
    OLMoE: arXiv 2409.02060.

    Examples
    --------
    >>> import routesig as rs
    >>> model = rs.load_model()  # or the folder of an OLMoE checkpoint
    >>> model.info.layers, model.info.experts, model.info.top_k
    (16, 64, 8)
    """
    if backend not in ("auto", "torch"):
        raise ValueError(f"load_model: expected backend to be one of auto, torch, got {backend!r}")
    if random_weights is not None:
        random_weights = whole_number("load_model", "random_weights", random_weights)
    shipped = path is None
    folder = path_of("load_model", files("routesig").joinpath("data").joinpath(TINY) if path is None else path)
    native = torch_module()
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing there"
        raise _core.FormatError(f"{folder}: expected a model folder with config.json and *.safetensors, found {found}")
    name = model_name(folder)
    return Model(
        native.OlmoeModel.load(
            folder,
            device=device,
            dtype="float32" if shipped and dtype == "auto" else dtype,
            random_weights=random_weights,
            name=name if random_weights is None else f"{name}, random weights {random_weights}",
            sha256=sha256(weight_files(folder)) if random_weights is None else "",
            tokenizer_sha256=sha256([folder / "tokenizer.json"]),
        ),
        folder,
    )


def torch_module() -> Any:
    """`routesig._torch`, or ImportError with the command that mends what is missing."""
    check_torch()
    return importlib.import_module("routesig._torch")


def check_torch() -> None:
    """ImportError with the command that mends what is missing, where models cannot run. PyTorch is not loaded."""
    if importlib.util.find_spec("routesig._torch") is None:
        raise ImportError(
            "this routesig was built without LibTorch, so it cannot run models; from its source folder: "
            "pip install torch==2.13.0 && pip install --no-build-isolation "
            "--config-settings=cmake.define.ROUTESIG_TORCH=ON ."
        )
    built = importlib.import_module("routesig._built").TORCH
    try:
        found = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        raise ImportError(f"running models needs PyTorch {built}: pip install 'torch=={built}.*'") from None
    if found.split("+")[0].split(".")[:2] != built.split("."):
        raise ImportError(
            f"this routesig was built against PyTorch {built}, found {found}: pip install 'torch=={built}.*', "
            "or build routesig again"
        )


def _as_batch(token_ids: Any) -> tuple[list[list[int]], bool]:
    items = _as_list(token_ids)
    single = not items or (not isinstance(items[0], (list, tuple)) and not hasattr(items[0], "tolist"))
    batch = [items] if single else [_as_list(row) for row in items]
    for row in batch:
        for token in row:
            if not isinstance(token, int) or isinstance(token, bool):
                raise ValueError(f"model: expected token ids as integers, got {token!r}")
    return batch, single


def _as_list(token_ids: Any) -> list[Any]:
    found = token_ids.tolist() if hasattr(token_ids, "tolist") else token_ids
    if isinstance(found, str) or not isinstance(found, Iterable):
        raise ValueError(f"model: expected token ids as a list, or a list of lists, got {token_ids!r}")
    return list(found)
