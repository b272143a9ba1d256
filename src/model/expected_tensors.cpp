// The tensors an OLMoE checkpoint must have, and the check that it has them: names and shapes as transformers 5.23
// writes them (models/olmoe/modeling_olmoe.py, save_pretrained) and as it keeps them in memory (fused experts).
#include <algorithm>
#include <utility>

#include "routesig/model/config.hpp"

namespace routesig {
namespace {

using Axes = std::vector<std::string_view>;

// Builds names and shapes; the names of the axes are the fields of config.json.
class TensorVisitor {
 public:
  TensorVisitor(const OlmoeConfig& config, const std::function<void(const ExpectedTensor&)>& visit)
      : config_(config), visit_(visit) {}

  void visit_all(ExpertLayout layout) const {
    emit("model.embed_tokens.weight", {"vocab_size", "hidden_size"});
    for (int layer = 0; layer < config_.num_hidden_layers; ++layer) {
      const std::string prefix = sentence("model.layers.", layer, '.');
      attention(prefix);
      experts(prefix + "mlp.", layout);
    }
    emit("model.norm.weight", {"hidden_size"});
    if (!config_.tie_word_embeddings) emit("lm_head.weight", {"vocab_size", "hidden_size"});
  }

 private:
  static constexpr std::string_view kKeyValueWidth = "num_key_value_heads * head_dim";

  void attention(const std::string& layer) const {
    emit(layer + "input_layernorm.weight", {"hidden_size"});
    const std::string prefix = layer + "self_attn.";
    projection(prefix + "q_proj", "hidden_size");
    projection(prefix + "k_proj", kKeyValueWidth);
    projection(prefix + "v_proj", kKeyValueWidth);
    emit(prefix + "q_norm.weight", {"hidden_size"});
    emit(prefix + "k_norm.weight", {kKeyValueWidth});
    projection(prefix + "o_proj", "hidden_size");
    emit(layer + "post_attention_layernorm.weight", {"hidden_size"});
  }

  void projection(const std::string& prefix, std::string_view outputs) const {
    emit(prefix + ".weight", {outputs, "hidden_size"});
    if (config_.attention_bias) emit(prefix + ".bias", {outputs});
  }

  void experts(const std::string& mlp, ExpertLayout layout) const {
    emit(mlp + "gate.weight", {"num_experts", "hidden_size"});
    if (layout == ExpertLayout::fused) {
      emit(mlp + "experts.gate_up_proj", {"num_experts", "2 * intermediate_size", "hidden_size"});
      emit(mlp + "experts.down_proj", {"num_experts", "hidden_size", "intermediate_size"});
      return;
    }
    for (int expert = 0; expert < config_.num_experts; ++expert) {
      const std::string prefix = sentence(mlp, "experts.", expert, '.');
      emit(prefix + "gate_proj.weight", {"intermediate_size", "hidden_size"});
      emit(prefix + "up_proj.weight", {"intermediate_size", "hidden_size"});
      emit(prefix + "down_proj.weight", {"hidden_size", "intermediate_size"});
    }
  }

  [[nodiscard]] std::int64_t size(std::string_view axis) const {
    if (axis == "vocab_size") return config_.vocab_size;
    if (axis == "hidden_size") return config_.hidden_size;
    if (axis == "num_experts") return config_.num_experts;
    if (axis == "intermediate_size") return config_.intermediate_size;
    if (axis == "2 * intermediate_size") return std::int64_t{2} * config_.intermediate_size;
    return std::int64_t{config_.num_key_value_heads} * config_.head_dim;
  }

  void emit(std::string name, Axes axes) const {
    ExpectedTensor tensor{.name = std::move(name), .axes = std::move(axes)};
    for (const std::string_view axis : tensor.axes) tensor.shape.push_back(size(axis));
    visit_(tensor);
  }

  const OlmoeConfig& config_;
  const std::function<void(const ExpectedTensor&)>& visit_;
};

[[noreturn]] void fail(const Safetensors& weights, std::string_view tensor, std::string_view problem) {
  throw FormatError({.path = weights.path().string()}, sentence("tensor ", shown(tensor, 120), ": ", problem));
}

// ": num_experts is 64 in config.json and 32 here", for every axis that differs.
std::string disagreement(const ExpectedTensor& expected, const Tensor& found) {
  std::string out;
  for (std::size_t i = 0; i < expected.shape.size() && found.shape.size() == expected.shape.size(); ++i)
    if (found.shape[i] != expected.shape[i])
      out += sentence(out.empty() ? ": " : ", ", expected.axes[i], " is ", expected.shape[i], " by config.json and ",
                      found.shape[i], " here");
  return out;
}

const Tensor& check_tensor(const ExpectedTensor& expected, const Safetensors& weights) {
  const Tensor* const found = weights.find(expected.name);
  if (found == nullptr)
    fail(weights, expected.name,
         sentence("expected by config.json with shape ", shape_text(expected.shape), ", it is missing"));
  if (found->shape != expected.shape)
    fail(weights, expected.name,
         sentence("expected shape ", shape_text(expected.shape), ", found ", shape_text(found->shape),
                  disagreement(expected, *found)));
  if (found->dtype != DType::f32 && found->dtype != DType::bf16 && found->dtype != DType::f16)
    fail(weights, expected.name, sentence("expected F32, BF16 or F16, found ", name(found->dtype)));
  return *found;
}

// Versions 4 stored the rotary frequencies of some models; they follow from the config.
bool is_rotary_buffer(std::string_view name) {
  return name.starts_with("model.") && name.ends_with("rotary_emb.inv_freq");
}

// A tied head that was stored all the same must be the embedding: the two readings of the file agree only then.
void check_tied_head(const Safetensors& weights, const Tensor& head) {
  const Tensor& embedding = weights.at("model.embed_tokens.weight");
  if (head.dtype != embedding.dtype || head.shape != embedding.shape || !std::ranges::equal(head.data, embedding.data))
    fail(weights, head.name,
         "expected it to equal model.embed_tokens.weight, because tie_word_embeddings is true in config.json");
}

}  // namespace

void for_each_expected_tensor(const OlmoeConfig& config, ExpertLayout layout,
                              const std::function<void(const ExpectedTensor&)>& visit) {
  TensorVisitor(config, visit).visit_all(layout);
}

std::vector<ExpectedTensor> expected_tensors(const OlmoeConfig& config, ExpertLayout layout) {
  std::vector<ExpectedTensor> all;
  for_each_expected_tensor(config, layout, [&](const ExpectedTensor& tensor) { all.push_back(tensor); });
  return all;
}

ExpertLayout check_weights(const OlmoeConfig& config, const Safetensors& weights) {
  const auto tensors = weights.tensors();
  const bool fused = weights.find("model.layers.0.mlp.experts.gate_up_proj") != nullptr;
  const ExpertLayout layout = fused ? ExpertLayout::fused : ExpertLayout::separate;
  std::vector<bool> used(tensors.size());
  for_each_expected_tensor(config, layout, [&](const ExpectedTensor& expected) {
    used[static_cast<std::size_t>(&check_tensor(expected, weights) - tensors.data())] = true;
  });
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (used[i] || is_rotary_buffer(tensors[i].name)) continue;
    if (!config.tie_word_embeddings || tensors[i].name != "lm_head.weight")
      fail(weights, tensors[i].name,
           sentence("a model with this config.json has no such tensor (", config.num_hidden_layers, " layers of ",
                    config.num_experts, " experts)"));
    check_tied_head(weights, tensors[i]);
  }
  return layout;
}

}  // namespace routesig
