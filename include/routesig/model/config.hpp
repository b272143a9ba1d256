/// \file config.hpp
/// What config.json says of an OLMoE model, checked, and the weights that such a model must have. Knows no Torch.
///
///     const auto config = routesig::read_olmoe_config("OLMoE-1B-7B-0125-Instruct");
///     const auto weights = routesig::Safetensors::open("OLMoE-1B-7B-0125-Instruct");
///     routesig::check_weights(config, weights);      // every name, shape and dtype, before the first multiplication
///
/// Reads the files of Hugging Face's OlmoeForCausalLM, versions 4 and 5 of transformers. Whatever a config asks for
/// that this library does not compute is refused by name.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "routesig/io/safetensors.hpp"
#include "routesig/routing.hpp"

namespace routesig {

struct OlmoeConfig {
  int vocab_size = 0;         ///< rows of the embedding and of the head
  int hidden_size = 0;        ///< width of the residual stream
  int intermediate_size = 0;  ///< width inside one expert
  int num_hidden_layers = 0;  ///< all of them mixture-of-experts layers
  int num_attention_heads = 0;
  int num_key_value_heads = 0;         ///< divides num_attention_heads
  int head_dim = 0;                    ///< hidden_size / num_attention_heads; even
  int num_experts = 0;                 ///< a layer
  int num_experts_per_tok = 0;         ///< top_k
  int max_position_embeddings = 4096;  ///< tokens

  double rms_norm_eps = 1e-5;
  double rope_theta = 10'000.0;      ///< base of the rotary wavelengths
  double initializer_range = 0.02;   ///< standard deviation of random weights
  std::optional<double> clip_qkv{};  ///< queries, keys and values are clamped to +- this
  bool attention_bias = false;       ///< the four projections of the attention have a bias
  bool norm_topk_prob = false;       ///< the weights of a token's experts are divided by their sum
  bool tie_word_embeddings = false;  ///< the head is the embedding: there is no lm_head.weight

  std::vector<int> eos_token_ids{};  ///< any of them ends a text; generation_config.json's where it names some
  std::optional<int> pad_token_id{};
  std::string dtype{};  ///< "float32", "bfloat16" or "float16" as the checkpoint was saved; "" unknown

  /// What the recorders hear.
  [[nodiscard]] RoutingInfo routing() const;

  friend bool operator==(const OlmoeConfig&, const OlmoeConfig&) = default;
};

/// Reads config.json (a folder's, or the file itself) and generation_config.json beside it, where there is one.
/// Throws FormatError or FileError.
[[nodiscard]] OlmoeConfig read_olmoe_config(const std::filesystem::path& folder_or_file);

/// The same from JSON text; `path` is for messages.
[[nodiscard]] OlmoeConfig parse_olmoe_config(std::string_view text, const std::string& path);

/// How a checkpoint stores its experts.
enum class ExpertLayout : std::uint8_t {
  separate,  ///< model.layers.N.mlp.experts.E.{gate,up,down}_proj.weight: what save_pretrained writes
  fused      ///< model.layers.N.mlp.experts.gate_up_proj [experts, 2 * width, hidden], gate first, and down_proj
};

/// A tensor that a checkpoint must have.
struct ExpectedTensor {
  std::string name{};
  std::vector<std::int64_t> shape{};
  std::vector<std::string_view> axes{};  ///< what in config.json makes each dimension
};

/// Calls `visit` with every tensor of the model, in the order of its computation.
void for_each_expected_tensor(const OlmoeConfig& config, ExpertLayout layout,
                              const std::function<void(const ExpectedTensor&)>& visit);

[[nodiscard]] std::vector<ExpectedTensor> expected_tensors(const OlmoeConfig& config,
                                                           ExpertLayout layout = ExpertLayout::separate);

/// Checks that `weights` holds every tensor of the model with its shape, as F32, BF16 or F16, and nothing else but
/// stored rotary frequencies and, where the head is tied, a head equal to the embedding. Throws FormatError naming the
/// tensor, both shapes and the field of config.json that disagrees. Returns how the experts are stored.
ExpertLayout check_weights(const OlmoeConfig& config, const Safetensors& weights);

}  // namespace routesig
