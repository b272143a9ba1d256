// Small OLMoE folders for tests: config.json and, where wanted, model.safetensors with values of the test's choosing.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "routesig/error.hpp"
#include "routesig/model/config.hpp"
#include "routesig/random.hpp"

namespace routesig::testing {

/// Small, with everything that OLMoE-1B-7B leaves unused: grouped key/value heads, clipping, renormalised weights, a
/// tied head. Random weights are wide enough (initializer_range) for routing to differ from token to token.
[[nodiscard]] inline OlmoeConfig small_config() {
  OlmoeConfig config;
  config.vocab_size = 61;
  config.hidden_size = 32;
  config.intermediate_size = 8;
  config.num_hidden_layers = 3;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = 8;
  config.num_experts = 16;
  config.num_experts_per_tok = 4;
  config.max_position_embeddings = 256;
  config.initializer_range = 0.3;
  config.clip_qkv = 1.5;
  config.norm_topk_prob = true;
  config.tie_word_embeddings = true;
  return config;
}

/// Too wide for the way that computes every expert.
[[nodiscard]] inline OlmoeConfig wide_config() {
  OlmoeConfig config = small_config();
  config.hidden_size = 64;
  config.head_dim = 16;
  config.intermediate_size = 160;
  config.clip_qkv.reset();
  config.norm_topk_prob = false;
  config.tie_word_embeddings = false;
  return config;
}

inline void write_config(const std::filesystem::path& folder, const OlmoeConfig& c) {
  std::ofstream out(folder / "config.json");
  const auto flag = [](bool value) { return value ? "true" : "false"; };
  out << sentence(R"({"model_type":"olmoe","architectures":["OlmoeForCausalLM"],"hidden_act":"silu","vocab_size":)",
                  c.vocab_size, R"(,"hidden_size":)", c.hidden_size, R"(,"intermediate_size":)", c.intermediate_size,
                  R"(,"num_hidden_layers":)", c.num_hidden_layers, R"(,"num_attention_heads":)", c.num_attention_heads,
                  R"(,"num_key_value_heads":)", c.num_key_value_heads, R"(,"num_experts":)", c.num_experts,
                  R"(,"num_experts_per_tok":)", c.num_experts_per_tok, R"(,"max_position_embeddings":)",
                  c.max_position_embeddings, R"(,"initializer_range":)", c.initializer_range, R"(,"rms_norm_eps":1e-5)",
                  R"(,"attention_bias":)", flag(c.attention_bias), R"(,"norm_topk_prob":)", flag(c.norm_topk_prob),
                  R"(,"tie_word_embeddings":)", flag(c.tie_word_embeddings), R"(,"rope_theta":)", c.rope_theta);
  if (c.clip_qkv) out << R"(,"clip_qkv":)" << *c.clip_qkv;
  if (!c.dtype.empty()) out << R"(,"dtype":")" << c.dtype << '"';
  out << R"(,"eos_token_id":)";
  if (c.eos_token_ids.empty())
    out << "null}";
  else
    out << c.eos_token_ids.front() << '}';
}

using TensorValues = std::map<std::string, std::vector<float>>;

/// `value` with as many bits as `dtype` (F32, BF16 or F16) keeps, cut off; what is too small for F16 becomes 0.
[[nodiscard]] inline float truncated(float value, const std::string& dtype) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (dtype == "F16") return std::abs(value) < 6.2e-5F ? 0.0F : std::bit_cast<float>(bits & 0xFFFF'E000U);
  return dtype == "BF16" ? std::bit_cast<float>(bits & 0xFFFF'0000U) : value;
}

/// The little-endian bytes of `truncated(value, dtype)`; F16 for values below 65,504 in magnitude.
[[nodiscard]] inline std::string encoded(float value, const std::string& dtype) {
  auto bits = std::bit_cast<std::uint32_t>(truncated(value, dtype));
  int size = 4;
  if (dtype == "BF16") bits >>= 16U, size = 2;
  if (dtype == "F16") {
    const std::uint32_t sign = (bits >> 16U) & 0x8000U;
    bits = (bits & 0x7FFF'FFFFU) == 0 ? sign : sign | (((bits & 0x7FFF'FFFFU) >> 13U) - (112U << 10U));
    size = 2;
  }
  std::string bytes;
  for (int i = 0; i < size; ++i) bytes += static_cast<char>((bits >> (8 * i)) & 0xFFU);
  return bytes;
}

inline void write_weights(const std::filesystem::path& folder, const OlmoeConfig& config, const TensorValues& values,
                          ExpertLayout layout = ExpertLayout::separate, const std::string& dtype = "F32") {
  std::string header = "{", data;
  for (const ExpectedTensor& tensor : expected_tensors(config, layout)) {
    const std::size_t begin = data.size();
    for (const float value : values.at(tensor.name)) data += encoded(value, dtype);
    header += sentence(header.size() > 1 ? "," : "", '"', tensor.name, R"(":{"dtype":")", dtype, R"(","shape":)",
                       shape_text(tensor.shape), R"(,"data_offsets":[)", begin, ',', data.size(), "]}");
  }
  header += '}';
  std::ofstream out(folder / "model.safetensors", std::ios::binary);
  const std::uint64_t length = header.size();
  for (int shift = 0; shift < 64; shift += 8) out.put(static_cast<char>((length >> shift) & 0xFFU));
  out << header << data;
}

/// Norms 1, everything else normal(0, initializer_range).
[[nodiscard]] inline TensorValues random_values(const OlmoeConfig& config, std::uint64_t seed) {
  TensorValues values;
  Random random(seed);
  for (const ExpectedTensor& tensor : expected_tensors(config)) {
    std::int64_t size = 1;
    for (const std::int64_t n : tensor.shape) size *= n;
    std::vector<float>& of_tensor = values[tensor.name];
    for (std::int64_t i = 0; i < size; ++i)
      of_tensor.push_back(tensor.shape.size() == 1 ? 1.0F
                                                   : static_cast<float>(config.initializer_range * random.normal()));
  }
  return values;
}

/// The same model in the fused layout.
[[nodiscard]] inline TensorValues fused(const OlmoeConfig& config, const TensorValues& separate) {
  TensorValues values = separate;
  for (int layer = 0; layer < config.num_hidden_layers; ++layer) {
    const std::string prefix = sentence("model.layers.", layer, ".mlp.experts.");
    for (int e = 0; e < config.num_experts; ++e) {
      const std::string expert = sentence(prefix, e, '.');
      const auto append = [&](const char* from, const char* to) {
        const auto node = values.extract(expert + from);
        std::vector<float>& all = values[prefix + to];
        all.insert(all.end(), node.mapped().begin(), node.mapped().end());
      };
      append("gate_proj.weight", "gate_up_proj");
      append("up_proj.weight", "gate_up_proj");
      append("down_proj.weight", "down_proj");
    }
  }
  return values;
}

}  // namespace routesig::testing
