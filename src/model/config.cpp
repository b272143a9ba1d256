// config.json of OlmoeForCausalLM: fields and defaults as transformers 5.23 has them
// (models/olmoe/configuration_olmoe.py and configuration_utils.py), the field names of versions 4 beside those of 5.
#include "routesig/model/config.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "json.hpp"
#include "routesig/io/file.hpp"

namespace routesig {
namespace {

constexpr std::size_t kMaxConfig = 4'000'000;  // bytes
// Bounds that keep every product of sizes far inside 64 bits; the largest models are a hundred times smaller.
constexpr int kMaxWidth = 1 << 20;
constexpr int kMaxVocabulary = 1 << 24;
constexpr int kMaxLayers = 1 << 12;
constexpr int kMaxInt = std::numeric_limits<int>::max();

int size_field(const JsonObject& config, const char* field, int max) {
  return static_cast<int>(config.integer(field, 1, max));
}

void check_architecture(const JsonObject& config) {
  const std::string type = config.text("model_type");
  if (type != "olmoe") config.fail("model_type", sentence(shown(type), " is not supported; supported are: \"olmoe\""));
  if (!config.has("architectures")) return;
  const nlohmann::json& names = config.at("architectures");
  if (!names.is_array() || std::ranges::find(names, nlohmann::json("OlmoeForCausalLM")) == names.end())
    config.fail("architectures",
                sentence("expected \"OlmoeForCausalLM\" among them, found ",
                         names.is_array() && !names.empty() ? describe(names.front()) : describe(names)));
}

// What the forward pass does not compute.
void refuse_unsupported(const JsonObject& config) {
  // The last two are read by any model of transformers: fields that differ between layers, another file of weights.
  for (const char* field : {"quantization_config", "sliding_window", "per_layer_config", "transformers_weights"})
    if (config.has(field)) config.fail_value(field, "null (it is not supported)");
  if (!config.boolean("is_causal", true)) config.fail("is_causal", "attention to later tokens is not supported");
  const std::string act = config.text("hidden_act", "silu");
  if (act != "silu" && act != "swish")  // two names of one function
    config.fail("hidden_act", sentence(shown(act), " is not supported; supported are: \"silu\""));
}

void check_rotated_part(const JsonObject& fields) {
  if (fields.number("partial_rotary_factor", 0.0, 1.0, 1.0) != 1.0)
    fields.fail("partial_rotary_factor", "rotating a part of each head is not supported, expected 1");
}

void check_rope(const nlohmann::json& value, const JsonObject& rope) {
  for (const auto& [field, parameter] : value.items())
    if (parameter.is_object())
      rope.fail(field.c_str(), "a rotary embedding of its own for each kind of layer is not supported");
  const char* const field = rope.has("rope_type") ? "rope_type" : "type";
  const std::string type = rope.text(field, "default");
  if (type != "default") rope.fail(field, sentence(shown(type), " is not supported; supported are: \"default\""));
  check_rotated_part(rope);
}

// Version 5: rope_parameters {rope_theta, rope_type}. Version 4: rope_theta, and rope_scaling, which wins over
// rope_parameters where a file has both, as it does in transformers.
double rope_theta(const JsonObject& config) {
  constexpr double kDefaultTheta = 10'000.0, kTiny = 1e-6, kHuge = 1e15;
  const double theta = config.number("rope_theta", kTiny, kHuge, kDefaultTheta);
  check_rotated_part(config);
  for (const char* field : {"rope_scaling", "rope_parameters"}) {
    if (!config.has(field)) continue;
    const JsonObject rope = config.object(field);
    check_rope(config.at(field), rope);
    if (!config.at(field).empty()) return rope.number("rope_theta", kTiny, kHuge, theta);
  }
  return theta;
}

// A token id, a list of them, or null.
std::vector<int> token_ids(const JsonObject& config, const char* field) {
  std::vector<int> ids;
  const auto add = [&](const nlohmann::json& id) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() > static_cast<std::uint64_t>(kMaxInt))
      config.fail(field, sentence("expected a token id or a list of them, found ", describe(id)));
    ids.push_back(static_cast<int>(id.get<std::uint64_t>()));
  };
  const nlohmann::json& value = config.at(field);
  if (value.is_array())
    for (const auto& id : value) add(id);
  else
    add(value);
  return ids;
}

std::string saved_dtype(const JsonObject& config) {
  const char* const field = config.has("dtype") ? "dtype" : "torch_dtype";
  const std::string dtype = config.text(field, "");
  constexpr std::array<std::string_view, 4> kKnown{"", "float32", "bfloat16", "float16"};
  if (std::ranges::find(kKnown, dtype) == kKnown.end())
    config.fail(field,
                sentence(shown(dtype), " is not supported; supported are: \"float32\", \"bfloat16\", \"float16\""));
  return dtype;
}

// transformers reads num_local_experts as another name of num_experts.
int expert_count(const JsonObject& config) {
  const bool alias = !config.has("num_experts") && config.has("num_local_experts");
  const int experts = size_field(config, alias ? "num_local_experts" : "num_experts", kMaxExperts);
  if (config.integer("num_local_experts", 1, kMaxExperts, experts) != experts)
    config.fail_value("num_local_experts", sentence(experts, " as num_experts says"));
  return experts;
}

void read_heads(const JsonObject& config, OlmoeConfig& out) {
  out.num_attention_heads = size_field(config, "num_attention_heads", kMaxWidth);
  out.num_key_value_heads =
      static_cast<int>(config.integer("num_key_value_heads", 1, kMaxWidth, out.num_attention_heads));
  if (out.hidden_size % out.num_attention_heads != 0)
    config.fail("num_attention_heads",
                sentence("expected a divisor of hidden_size ", out.hidden_size, ", found ", out.num_attention_heads));
  if (out.num_attention_heads % out.num_key_value_heads != 0)
    config.fail("num_key_value_heads", sentence("expected a divisor of num_attention_heads ", out.num_attention_heads,
                                                ", found ", out.num_key_value_heads));
  out.head_dim = out.hidden_size / out.num_attention_heads;
  if (out.head_dim % 2 != 0)
    config.fail(
        "num_attention_heads",
        sentence("expected an even number of dimensions a head (they are rotated in pairs), found ", out.head_dim));
  if (config.integer("head_dim", 1, kMaxWidth, out.head_dim) != out.head_dim)
    config.fail_value("head_dim",
                      sentence(out.head_dim, " (hidden_size / num_attention_heads: the query norm has that width)"));
}

void read_sizes(const JsonObject& config, OlmoeConfig& out) {
  out.vocab_size = size_field(config, "vocab_size", kMaxVocabulary);
  out.hidden_size = size_field(config, "hidden_size", kMaxWidth);
  out.intermediate_size = size_field(config, "intermediate_size", kMaxWidth);
  out.num_hidden_layers = size_field(config, "num_hidden_layers", kMaxLayers);
  read_heads(config, out);
  out.num_experts = expert_count(config);
  out.num_experts_per_tok = size_field(config, "num_experts_per_tok", kMaxExperts);
  if (out.num_experts_per_tok > out.num_experts)
    config.fail("num_experts_per_tok",
                sentence("expected at most num_experts ", out.num_experts, ", found ", out.num_experts_per_tok));
  out.max_position_embeddings = static_cast<int>(config.integer("max_position_embeddings", 1, kMaxInt, 4096));
}

std::string read_config_text(const std::filesystem::path& path) {
  std::string text = read_text(path);
  if (text.size() > kMaxConfig)
    throw FormatError({.path = path.string()},
                      sentence("expected at most ", kMaxConfig, " bytes of configuration, found ", text.size()));
  return text;
}

}  // namespace

RoutingInfo OlmoeConfig::routing() const {
  return {.layers = num_hidden_layers,
          .experts = num_experts,
          .top_k = num_experts_per_tok,
          .renormalized = norm_topk_prob,
          .model_dtype = dtype};
}

OlmoeConfig parse_olmoe_config(std::string_view text, const std::string& path) {
  const nlohmann::json tree = parse_json(text, path);
  const JsonObject config(tree, path);
  check_architecture(config);
  refuse_unsupported(config);
  OlmoeConfig out;
  read_sizes(config, out);
  out.rms_norm_eps = config.number("rms_norm_eps", 0.0, 1.0, 1e-5);
  out.rope_theta = rope_theta(config);
  out.initializer_range = config.number("initializer_range", 0.0, 1e3, 0.02);
  if (config.has("clip_qkv")) out.clip_qkv = config.number("clip_qkv", 1e-30, 1e30);
  out.attention_bias = config.boolean("attention_bias", false);
  out.norm_topk_prob = config.boolean("norm_topk_prob", false);
  out.tie_word_embeddings = config.boolean("tie_word_embeddings", false);
  const bool names_eos = tree.contains("eos_token_id");  // null: nothing ends a text; missing: transformers' default
  out.eos_token_ids = config.has("eos_token_id") ? token_ids(config, "eos_token_id") : std::vector<int>{};
  if (!names_eos) out.eos_token_ids = {50'279};
  const std::int64_t pad = config.integer("pad_token_id", -1, kMaxInt, tree.contains("pad_token_id") ? -1 : 1);
  if (pad >= 0) out.pad_token_id = static_cast<int>(pad);
  out.dtype = saved_dtype(config);
  return out;
}

OlmoeConfig read_olmoe_config(const std::filesystem::path& folder_or_file) {
  std::error_code ignored;
  const bool folder = std::filesystem::is_directory(folder_or_file, ignored);
  const std::filesystem::path file = folder ? folder_or_file / "config.json" : folder_or_file;
  OlmoeConfig config = parse_olmoe_config(read_config_text(file), file.string());
  const std::filesystem::path generation = file.parent_path() / "generation_config.json";
  if (std::filesystem::exists(generation, ignored)) {
    const nlohmann::json tree = parse_json(read_config_text(generation), generation.string());
    const JsonObject fields(tree, generation.string());
    if (fields.has("eos_token_id")) config.eos_token_ids = token_ids(fields, "eos_token_id");
  }
  return config;
}

}  // namespace routesig
