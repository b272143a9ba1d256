// OlmoeModel: lists of token ids in, NumPy arrays and lists out. No tensor crosses the border, so this file needs no
// Torch header and shares nothing with the pybind11 that Torch brings along.
#include "routesig/model/olmoe.hpp"

#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <limits>

#include "arrays.hpp"
#include "bindings.hpp"

namespace {

using routesig::OlmoeModel;
using routesig::RotatedRouters;
using routesig::RoutingRecorder;
using routesig::RunOptions;
using routesig::SequenceInfo;
using routesig::TokenIds;

// Anything that is an int to Python, NumPy's included; a float is a TypeError.
std::int32_t token_id_of(const py::handle& item, std::size_t prompt, std::size_t position) {
  const auto number = py::reinterpret_steal<py::object>(PyNumber_Index(item.ptr()));
  if (!number) throw py::error_already_set();
  int overflow = 0;
  const long long id = PyLong_AsLongLongAndOverflow(number.ptr(), &overflow);
  if (overflow != 0 || id < std::numeric_limits<std::int32_t>::min() || id > std::numeric_limits<std::int32_t>::max())
    throw routesig::invalid_argument("token ids: expected 32-bit integers, got ", std::string(py::str(item)),
                                     " (prompt ", prompt, ", position ", position, ")");
  return static_cast<std::int32_t>(id);
}

TokenIds token_ids_of(const py::handle& list, std::size_t prompt) {
  TokenIds ids;
  for (const py::handle item : list) ids.push_back(token_id_of(item, prompt, ids.size()));
  return ids;
}

std::vector<TokenIds> batch_of(const py::iterable& lists) {
  std::vector<TokenIds> batch;
  for (const py::handle list : lists) {
    if (!py::isinstance<py::iterable>(list) || py::isinstance<py::str>(list))
      throw py::type_error("token ids: expected a list of lists of ints, got a list that holds " +
                           std::string(py::str(py::type::of(list).attr("__name__"))));
    batch.push_back(token_ids_of(list, batch.size()));
  }
  return batch;
}

// A dict with any of id, task, text, group, prompt_tokens, fields; None where unknown.
SequenceInfo sequence_of(const py::dict& given) {
  SequenceInfo info;
  const auto take = [&](const char* key, auto& into) {
    if (given.contains(key) && !given[key].is_none()) into = given[key].cast<std::remove_reference_t<decltype(into)>>();
  };
  take("id", info.id);
  take("task", info.task);
  take("text", info.text);
  take("group", info.group);
  take("prompt_tokens", info.prompt_tokens);
  take("fields", info.fields);
  return info;
}

// Ctrl-C ends a run between two forward steps.
void raise_pending_signals() {
  const py::gil_scoped_acquire gil;
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

// What `generate` and `replay` share beside their ids.
using RotatedRecorders = std::vector<RoutingRecorder*>;

RunOptions run_options(const std::optional<std::vector<py::dict>>& sequences, int first_sequence, bool begun,
                       const std::optional<RotatedRouters>& rotated = {}, RotatedRecorders rotated_recorders = {}) {
  RunOptions run{.first_sequence = first_sequence,
                 .begun = begun,
                 .should_stop = raise_pending_signals,
                 .rotated = rotated,
                 .rotated_recorders = std::move(rotated_recorders)};
  if (sequences)
    for (const py::dict& given : *sequences) run.sequences.push_back(sequence_of(given));
  return run;
}

py::list forward(const OlmoeModel& model, const py::iterable& token_ids, RoutingRecorder* recorder,
                 const std::optional<std::vector<py::dict>>& sequences, int first_sequence, bool begun) {
  const std::vector<TokenIds> batch = batch_of(token_ids);
  const RunOptions run = run_options(sequences, first_sequence, begun);
  std::vector<std::vector<float>> logits = [&] {
    const py::gil_scoped_release nogil;
    return model.forward(batch, recorder, run);
  }();
  py::list out;
  for (std::size_t i = 0; i < batch.size(); ++i)
    out.append(owned(std::move(logits[i]), {static_cast<py::ssize_t>(batch[i].size()), model.config().vocab_size}));
  return out;
}

std::vector<TokenIds> generate(const OlmoeModel& model, const py::iterable& token_ids, RoutingRecorder* recorder,
                               int max_new_tokens, double temperature, std::uint64_t seed, bool ignore_eos,
                               std::vector<std::uint64_t> streams,
                               const std::optional<std::vector<py::dict>>& sequences, int first_sequence, bool begun,
                               const std::optional<RotatedRouters>& rotated, RotatedRecorders rotated_recorders) {
  const std::vector<TokenIds> batch = batch_of(token_ids);
  const RunOptions run = run_options(sequences, first_sequence, begun, rotated, std::move(rotated_recorders));
  const routesig::GenerateOptions options{.max_new_tokens = max_new_tokens,
                                          .temperature = temperature,
                                          .seed = seed,
                                          .ignore_eos = ignore_eos,
                                          .streams = std::move(streams)};
  const py::gil_scoped_release nogil;
  return model.generate(batch, options, recorder, run);
}

void replay(const OlmoeModel& model, const py::iterable& token_ids, RoutingRecorder& recorder,
            const std::optional<std::vector<py::dict>>& sequences, int first_sequence, bool begun,
            const std::optional<RotatedRouters>& rotated, RotatedRecorders rotated_recorders) {
  const std::vector<TokenIds> batch = batch_of(token_ids);
  const RunOptions run = run_options(sequences, first_sequence, begun, rotated, std::move(rotated_recorders));
  const py::gil_scoped_release nogil;
  model.replay(batch, recorder, run);
}

OlmoeModel load(const std::filesystem::path& folder, std::string device, std::string dtype,
                std::optional<std::uint64_t> random_weights, std::string name, std::string sha256,
                std::string tokenizer_sha256) {
  const routesig::LoadOptions options{.device = std::move(device),
                                      .dtype = std::move(dtype),
                                      .random_weights = random_weights,
                                      .name = std::move(name),
                                      .sha256 = std::move(sha256),
                                      .tokenizer_sha256 = std::move(tokenizer_sha256)};
  const py::gil_scoped_release nogil;
  return OlmoeModel::load(folder, options);
}

// The fields of config.json, by their names there.
py::dict config_dict(const routesig::OlmoeConfig& c) {
  using namespace pybind11::literals;
  return py::dict(
      "vocab_size"_a = c.vocab_size, "hidden_size"_a = c.hidden_size, "intermediate_size"_a = c.intermediate_size,
      "num_hidden_layers"_a = c.num_hidden_layers, "num_attention_heads"_a = c.num_attention_heads,
      "num_key_value_heads"_a = c.num_key_value_heads, "head_dim"_a = c.head_dim, "num_experts"_a = c.num_experts,
      "num_experts_per_tok"_a = c.num_experts_per_tok, "max_position_embeddings"_a = c.max_position_embeddings,
      "rms_norm_eps"_a = c.rms_norm_eps, "rope_theta"_a = c.rope_theta, "initializer_range"_a = c.initializer_range,
      "clip_qkv"_a = c.clip_qkv, "attention_bias"_a = c.attention_bias, "norm_topk_prob"_a = c.norm_topk_prob,
      "tie_word_embeddings"_a = c.tie_word_embeddings, "eos_token_id"_a = c.eos_token_ids,
      "pad_token_id"_a = c.pad_token_id, "dtype"_a = c.dtype);
}

std::string repr(const OlmoeModel& model) {
  const auto& c = model.config();
  return routesig::sentence("OlmoeModel(layers=", c.num_hidden_layers, ", experts=", c.num_experts,
                            ", top_k=", c.num_experts_per_tok, ", hidden_size=", c.hidden_size,
                            ", dtype=", model.info().model_dtype, ", device=", model.device(), ')');
}

}  // namespace

void bind_model(py::module_& m) {
  py::class_<RotatedRouters>(
      m, "RotatedRouters", "Routers that hear the model's hidden states through random rotations, and decide nothing.")
      .def("__len__", &RotatedRouters::size)
      .def("info", &RotatedRouters::info, py::arg("index"),
           "RoutingInfo of one of them: the model's, but for the name.");
  py::class_<OlmoeModel>(m, "OlmoeModel", R"(OLMoE on LibTorch: token ids in, logits and ids out.

`token_ids` is always a list of lists of ints, a batch of unequal lengths. `sequences` is a list of dicts, one per prompt,
with any of id, task, text, group, prompt_tokens and fields (a list of name and JSON text); without it the ids are the
sequence numbers. With `begun` the caller has begun the recorder and will end it, so that many batches go into one
recording; `first_sequence` then counts on.)")
      .def_static("load", &load, py::arg("folder"), py::kw_only(), py::arg("device") = "auto",
                  py::arg("dtype") = "auto", py::arg("random_weights") = py::none(), py::arg("name") = "",
                  py::arg("sha256") = "", py::arg("tokenizer_sha256") = "",
                  "Read config.json and *.safetensors in a folder, or draw the weights from a seed.")
      .def("forward", &forward, py::arg("token_ids"), py::arg("recorder") = py::none(), py::kw_only(),
           py::arg("sequences") = py::none(), py::arg("first_sequence") = 0, py::arg("begun") = false,
           "Logits of every token: a list of float32 arrays [tokens, vocab].")
      .def("generate", &generate, py::arg("token_ids"), py::arg("recorder") = py::none(), py::kw_only(),
           py::arg("max_new_tokens") = 32, py::arg("temperature") = 0.0, py::arg("seed") = 0,
           py::arg("ignore_eos") = false, py::arg("streams") = std::vector<std::uint64_t>(),
           py::arg("sequences") = py::none(), py::arg("first_sequence") = 0, py::arg("begun") = false,
           py::arg("rotated") = py::none(), py::arg("rotated_recorders") = RotatedRecorders(),
           "Continue every prompt; the new ids only, a stop token included. `streams`: the random stream of each "
           "prompt, "
           "its sequence number where there are none.")
      .def("replay", &replay, py::arg("token_ids"), py::arg("recorder").none(false), py::kw_only(),
           py::arg("sequences") = py::none(), py::arg("first_sequence") = 0, py::arg("begun") = false,
           py::arg("rotated") = py::none(), py::arg("rotated_recorders") = RotatedRecorders(),
           "Force token ids through the model for the recorder alone. Tokens from a sequence's prompt_tokens on count "
           "as "
           "generated.")
      .def("rotated_routers", &OlmoeModel::rotated_routers, py::arg("count"), py::arg("seed") = 0,
           py::call_guard<py::gil_scoped_release>(),
           "`count` rotations W Q of the routers W, Q Haar-random orthogonal; pass them with one recorder for each.")
      .def_property_readonly(
          "config", [](const OlmoeModel& model) { return config_dict(model.config()); },
          "The fields of config.json, checked, as a dict.")
      .def_property_readonly(
          "info", [](const OlmoeModel& model) { return model.info(); }, "RoutingInfo: what recorders hear.")
      .def_property_readonly("device", &OlmoeModel::device, "cpu, cuda:0, ...")
      .def("__repr__", &repr);
}
