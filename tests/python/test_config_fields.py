"""Every field of transformers' OlmoeConfig, with another value: computed as Hugging Face does, or refused by name."""

import dataclasses
import inspect
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="running a model needs PyTorch")
transformers = pytest.importorskip("transformers", reason="the reference is Hugging Face's")
pytest.importorskip("routesig._torch", reason="built without LibTorch")

from transformers.modeling_rope_utils import RopeParameters  # noqa: E402

import routesig as rs  # noqa: E402

SMALL = {
    "vocab_size": 50,
    "hidden_size": 32,
    "intermediate_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_experts": 8,
    "num_experts_per_tok": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.1,
    "eos_token_id": None,
    "pad_token_id": None,
}
PROMPT = [8, 7, 42, 3, 9, 9, 30, 21, 0, 17, 49, 2]

SAME = "same"  # computed as Hugging Face does
REFUSED = "refused"  # by the name of the field
ROPE = {"rope_type": "default", "rope_theta": 10_000.0}

# Field -> its other values, each with what becomes of it.
DECLARED = {
    "vocab_size": [(61, SAME)],
    "hidden_size": [(48, SAME)],
    "intermediate_size": [(12, SAME)],
    "num_hidden_layers": [(3, SAME)],
    "num_attention_heads": [(2, SAME), (5, REFUSED)],
    "num_key_value_heads": [(2, SAME), (1, SAME), (None, SAME)],
    "hidden_act": [("swish", SAME), ("gelu", REFUSED), ("relu", REFUSED)],
    "max_position_embeddings": [(32, SAME)],
    "initializer_range": [(0.3, SAME)],
    "rms_norm_eps": [(0.5, SAME), (1e-6, SAME)],
    "use_cache": [(False, SAME)],
    "pad_token_id": [(8, SAME)],
    "bos_token_id": [(8, SAME)],
    "eos_token_id": [(8, SAME), ([8, 9], SAME)],
    "tie_word_embeddings": [(True, SAME)],
    "rope_parameters": [({"rope_type": "default", "rope_theta": 20.0}, SAME)],
    "attention_bias": [(True, SAME)],
    "attention_dropout": [(0.9, SAME)],  # of training
    "clip_qkv": [(0.3, SAME), (-1.0, REFUSED)],
    "num_experts_per_tok": [(1, SAME), (5, SAME)],
    "num_experts": [(12, SAME)],
    "output_router_logits": [(True, SAME)],
    "router_aux_loss_coef": [(0.5, SAME)],
    "norm_topk_prob": [(True, SAME)],
    "dtype": [("bfloat16", SAME), ("float16", SAME), ("float64", REFUSED)],
    "architectures": [(["OlmoeModel"], REFUSED)],
    "model_type": [("mixtral", REFUSED)],
    "transformers_version": [("4.40.0", SAME)],
    "output_hidden_states": [(True, SAME)],
    "output_attentions": [(True, SAME)],
    "return_dict": [(False, SAME)],
    "chunk_size_feed_forward": [(1, SAME)],
    "is_encoder_decoder": [(True, SAME)],
    "id2label": [({"0": "a", "1": "b", "2": "c"}, SAME)],
    "label2id": [({"a": 0, "b": 1}, SAME)],
    "problem_type": [("regression", SAME)],
    "_name_or_path": [("elsewhere", SAME)],
    # Set through properties, or other names of the above.
    "num_local_experts": [(12, SAME)],
    "torch_dtype": [("bfloat16", SAME), ("float64", REFUSED)],
    "rope_scaling": [
        ({"rope_type": "default", "rope_theta": 20.0}, SAME),
        ({"rope_type": "linear", "factor": 2.0}, REFUSED),
    ],
    "per_layer_config": [({"1": {"num_experts_per_tok": 1}}, REFUSED)],
    "allow_global_per_layer_attribute_access": [(True, SAME)],
    "serialize_explicit_per_layer_config": [(True, SAME)],
    "name_or_path": [("elsewhere", SAME)],
    "num_labels": [(3, SAME)],
    "_attn_implementation": [("eager", SAME)],
    "_experts_implementation": [("eager", SAME)],
}
# Not declared, and read all the same where a file has them.
READ = {
    "head_dim": [(8, SAME), (16, REFUSED)],
    "rope_theta": [(20.0, SAME)],
    "partial_rotary_factor": [(0.5, REFUSED)],
    "sliding_window": [(3, REFUSED)],
    "is_causal": [(True, SAME), (False, REFUSED)],
    "quantization_config": [({"quant_method": "bitsandbytes", "load_in_8bit": True}, REFUSED)],
    "transformers_weights": [("other.safetensors", REFUSED)],
}
ROPE_PARAMETERS = {
    "rope_theta": [(20.0, SAME)],
    "rope_type": [(kind, REFUSED) for kind in ("linear", "dynamic", "yarn", "longrope", "llama3", "proportional")],
    "partial_rotary_factor": [(0.5, REFUSED)],
    # Of the other types; the default one does not look at them.
    "factor": [(2.0, SAME)],
    "original_max_position_embeddings": [(16, SAME)],
    "attention_factor": [(2.0, SAME)],
    "beta_fast": [(16.0, SAME)],
    "beta_slow": [(2.0, SAME)],
    "short_factor": [([2.0] * 4, SAME)],
    "long_factor": [([2.0] * 4, SAME)],
    "low_freq_factor": [(2.0, SAME)],
    "high_freq_factor": [(2.0, SAME)],
    "mscale": [(2.0, SAME)],
    "mscale_all_dim": [(2.0, SAME)],
    "truncate": [(False, SAME)],
    "mrope_section": [([1, 1, 2], SAME)],
}
# What must move Hugging Face's logits, or the comparison sees nothing.
MOVES = (
    {"num_key_value_heads": 2, "rms_norm_eps": 0.5, "tie_word_embeddings": True, "attention_bias": True}
    | {"clip_qkv": 0.3, "num_experts_per_tok": 1, "norm_topk_prob": True, "hidden_act": "gelu", "is_causal": False}
    | {"rope_parameters": {"rope_type": "default", "rope_theta": 20.0}}
)


def cases():
    for table in (DECLARED, READ):
        for field, values in table.items():
            for value, outcome in values:
                yield pytest.param(field, value, outcome, id=f"{field}={value}")
    for parameter, values in ROPE_PARAMETERS.items():
        for value, outcome in values:
            rope = {**ROPE, parameter: value}
            yield pytest.param("rope_parameters", rope, outcome, id=f"rope_parameters.{parameter}={value}")


def drawn(**fields):
    """Hugging Face's model of these fields; norms and biases are drawn too, which it would leave at 1 and 0."""
    torch.manual_seed(1)
    model = transformers.OlmoeForCausalLM(transformers.OlmoeConfig(**{**SMALL, **fields})).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return model


def saved(folder, field, value):
    """A model whose config.json says `value`, its weights those of the closest model that can be made."""
    try:
        drawn(**{field: value}).to(torch.float32).save_pretrained(folder)
    except Exception:  # no model is made or saved with this value: the file alone will say it
        drawn().to(torch.float32).save_pretrained(folder)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    if field in ("rope_scaling", "rope_theta"):
        del config["rope_parameters"]  # else both would say it
    if field == "num_local_experts":
        config.pop("num_experts", None)
    if field == "torch_dtype":
        config.pop("dtype", None)
    config[field] = value
    path.write_text(json.dumps(config))


@pytest.mark.parametrize(("field", "value", "outcome"), list(cases()))
def test_every_field_is_computed_as_hugging_face_does_or_refused_by_name(parity, tmp_path, field, value, outcome):
    saved(tmp_path, field, value)
    if outcome == REFUSED:
        with pytest.raises(
            ValueError, match=field if field != "rope_parameters" else r"rope_type|partial_rotary"
        ) as no:
            rs.load_model(tmp_path, dtype="float32")
        assert len(str(no.value).splitlines()) == 1
        return
    ours = rs.load_model(tmp_path, dtype="float32", device="cpu")
    theirs = transformers.OlmoeForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    theirs.config.return_dict = True  # a tuple holds the same numbers
    case = parity.Case(field, "", {**SMALL, "vocab_size": theirs.config.vocab_size}, new_tokens=3)
    reference = parity.reference(theirs, PROMPT, case.new_tokens)
    for measure in (parity.measure_forward, parity.measure_generate):
        row = measure(case, "float32", ours, [reference], batched=False)
        assert row.rows >= len(PROMPT) * 2
        assert row.delta_logit is None or row.delta_logit <= parity.LOGIT_BOUND
        assert row.delta_router <= parity.LOGIT_BOUND
        assert row.unexplained == row.other_tokens == 0


def test_the_walk_knows_every_field_that_transformers_has():
    config = transformers.OlmoeConfig
    names = {field.name for field in dataclasses.fields(config)} | set(config().to_dict()) | set(config.attribute_map)
    names |= set(inspect.signature(config).parameters)
    names |= {name for name, value in inspect.getmembers(config) if isinstance(value, property) and value.fset}
    assert names == set(DECLARED)
    assert set(RopeParameters.__annotations__) == set(ROPE_PARAMETERS)


@pytest.mark.parametrize("field", MOVES)
def test_what_computes_moves_hugging_faces_logits(field):
    """With the same weights wherever both have them."""
    base, other = drawn(), drawn(**{field: MOVES[field]})
    for name, tensor in other.state_dict().items():
        like = base.state_dict().get(name)
        if like is not None and like.shape == tensor.shape:
            tensor.copy_(like)
    with torch.inference_mode():
        one, two = (model(torch.tensor([PROMPT])).logits.numpy() for model in (base, other))
    assert np.abs(one - two).max() > 100 * 1e-4
