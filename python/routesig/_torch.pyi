"""
The model of routesig, compiled against LibTorch; use the names of the package `routesig`.
"""
from __future__ import annotations
import collections.abc
import os
import routesig._core
import typing
__all__: list[str] = ['OlmoeModel', 'RotatedRouters', 'has_cuda_kernel', 'torch_version']
class RotatedRouters:
    """
    Routers that hear the model's hidden states through random rotations, and decide nothing.
    """
    def __len__(self) -> int:
        ...
    def info(self, index: typing.SupportsInt | typing.SupportsIndex) -> routesig._core.RoutingInfo:
        """
        RoutingInfo of one of them: the model's, but for the name.
        """
class OlmoeModel:
    """
    OLMoE on LibTorch: token ids in, logits and ids out.
    
    `token_ids` is always a list of lists of ints, a batch of unequal lengths. `sequences` is a list of dicts, one per prompt,
    with any of id, task, text, group, prompt_tokens and fields (a list of name and JSON text); without it the ids are the
    sequence numbers. With `begun` the caller has begun the recorder and will end it, so that many batches go into one
    recording; `first_sequence` then counts on.
    """
    @staticmethod
    def load(folder: os.PathLike | str | bytes, *, device: str = 'auto', dtype: str = 'auto', random_weights: typing.SupportsInt | typing.SupportsIndex | None = None, name: str = '', sha256: str = '', tokenizer_sha256: str = '') -> OlmoeModel:
        """
        Read config.json and *.safetensors in a folder, or draw the weights from a seed.
        """
    def __repr__(self) -> str:
        ...
    def forward(self, token_ids: collections.abc.Iterable, recorder: routesig._core.RoutingRecorder = None, *, sequences: collections.abc.Sequence[dict] | None = None, first_sequence: typing.SupportsInt | typing.SupportsIndex = 0, begun: bool = False) -> list:
        """
        Logits of every token: a list of float32 arrays [tokens, vocab].
        """
    def generate(self, token_ids: collections.abc.Iterable, recorder: routesig._core.RoutingRecorder = None, *, max_new_tokens: typing.SupportsInt | typing.SupportsIndex = 32, temperature: typing.SupportsFloat | typing.SupportsIndex = 0.0, seed: typing.SupportsInt | typing.SupportsIndex = 0, ignore_eos: bool = False, streams: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex] = [], sequences: collections.abc.Sequence[dict] | None = None, first_sequence: typing.SupportsInt | typing.SupportsIndex = 0, begun: bool = False, rotated: RotatedRouters | None = None, rotated_recorders: collections.abc.Sequence[routesig._core.RoutingRecorder] = []) -> list[list[int]]:
        """
        Continue every prompt; the new ids only, a stop token included. `streams`: the random stream of each prompt, its sequence number where there are none.
        """
    def replay(self, token_ids: collections.abc.Iterable, recorder: routesig._core.RoutingRecorder, *, sequences: collections.abc.Sequence[dict] | None = None, first_sequence: typing.SupportsInt | typing.SupportsIndex = 0, begun: bool = False, rotated: RotatedRouters | None = None, rotated_recorders: collections.abc.Sequence[routesig._core.RoutingRecorder] = []) -> None:
        """
        Force token ids through the model for the recorder alone. Tokens from a sequence's prompt_tokens on count as generated.
        """
    def rotated_routers(self, count: typing.SupportsInt | typing.SupportsIndex, seed: typing.SupportsInt | typing.SupportsIndex = 0) -> RotatedRouters:
        """
        `count` rotations W Q of the routers W, Q Haar-random orthogonal; pass them with one recorder for each.
        """
    @property
    def config(self) -> dict:
        """
        The fields of config.json, checked, as a dict.
        """
    @property
    def device(self) -> str:
        """
        cpu, cuda:0, ...
        """
    @property
    def info(self) -> routesig._core.RoutingInfo:
        """
        RoutingInfo: what recorders hear.
        """
has_cuda_kernel: bool = True
torch_version: str = '2.13'
