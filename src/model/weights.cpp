#include "weights.hpp"

#include <ATen/ops/empty.h>

#include <string>
#include <string_view>
#include <utility>

#include "experts.hpp"
#include "routesig/io/safetensors.hpp"
#include "routesig/random.hpp"

namespace routesig::olmoe {
namespace {

// Where weights come from: a checkpoint, or a seed.
class Source {
 public:
  Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  virtual ~Source() = default;

  [[nodiscard]] virtual ExpertLayout layout() const = 0;
  // Writes the matrix, norm or bias called `name` into `destination`, converting to its dtype and device.
  virtual void matrix(const std::string& name, const at::Tensor& destination) = 0;
  virtual void norm(const std::string& name, const at::Tensor& destination) = 0;
  virtual void bias(const std::string& name, const at::Tensor& destination) = 0;
};

at::ScalarType scalar_type(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return at::kFloat;
    case DType::bf16:
      return at::kBFloat16;
    case DType::f16:
      return at::kHalf;
    default:
      throw std::logic_error("weights: a dtype that check_weights refuses");
  }
}

class Checkpoint final : public Source {
 public:
  Checkpoint(const OlmoeConfig& config, Safetensors files)
      : files_(std::move(files)), layout_(check_weights(config, files_)) {}

  [[nodiscard]] ExpertLayout layout() const override { return layout_; }
  void norm(const std::string& name, const at::Tensor& destination) override { matrix(name, destination); }
  void bias(const std::string& name, const at::Tensor& destination) override { matrix(name, destination); }
  void matrix(const std::string& name, const at::Tensor& destination) override {
    const Tensor& tensor = files_.at(name);
    // Through an aligned copy: in the file a tensor may begin at any address.
    const at::Tensor aligned = at::empty(tensor.shape, at::TensorOptions(scalar_type(tensor.dtype)));
    files_.read(tensor, {static_cast<std::byte*>(aligned.mutable_data_ptr()), tensor.data.size()});
    destination.copy_(aligned);
  }

 private:
  Safetensors files_;
  ExpertLayout layout_;
};

class Untrained final : public Source {
 public:
  Untrained(std::uint64_t seed, double deviation) : seed_(seed), deviation_(deviation) {}

  [[nodiscard]] ExpertLayout layout() const override { return ExpertLayout::fused; }
  void norm(const std::string& /*name*/, const at::Tensor& destination) override { destination.fill_(1.0); }
  void bias(const std::string& /*name*/, const at::Tensor& destination) override { destination.zero_(); }
  void matrix(const std::string& /*name*/, const at::Tensor& destination) override {
    Random random(seed_, next_stream_++);  // a stream for each matrix, in the order they are asked for
    const at::Tensor drawn = at::empty(destination.sizes(), at::kFloat);
    auto* value = drawn.mutable_data_ptr<float>();
    for (std::int64_t i = 0; i < drawn.numel(); ++i) value[i] = static_cast<float>(deviation_ * random.normal());
    destination.copy_(drawn);
  }

 private:
  std::uint64_t seed_;
  double deviation_;
  std::uint64_t next_stream_ = 0;
};

void fill_attention(Source& source, const std::string& prefix, const OlmoeConfig& config, LayerWeights& layer,
                    const at::TensorOptions& options) {
  const std::int64_t hidden = config.hidden_size;
  const std::int64_t groups = std::int64_t{config.head_dim} * config.num_key_value_heads;
  layer.qkv = at::empty({hidden + 2 * groups, hidden}, options);
  layer.output = at::empty({hidden, hidden}, options);
  layer.query_norm = at::empty({hidden}, options);
  layer.key_norm = at::empty({groups}, options);
  source.matrix(prefix + "q_proj.weight", layer.qkv.narrow(0, 0, hidden));
  source.matrix(prefix + "k_proj.weight", layer.qkv.narrow(0, hidden, groups));
  source.matrix(prefix + "v_proj.weight", layer.qkv.narrow(0, hidden + groups, groups));
  source.matrix(prefix + "o_proj.weight", layer.output);
  source.norm(prefix + "q_norm.weight", layer.query_norm);
  source.norm(prefix + "k_norm.weight", layer.key_norm);
  if (!config.attention_bias) return;
  layer.qkv_bias = at::empty({hidden + 2 * groups}, options);
  layer.output_bias = at::empty({hidden}, options);
  source.bias(prefix + "q_proj.bias", layer.qkv_bias.narrow(0, 0, hidden));
  source.bias(prefix + "k_proj.bias", layer.qkv_bias.narrow(0, hidden, groups));
  source.bias(prefix + "v_proj.bias", layer.qkv_bias.narrow(0, hidden + groups, groups));
  source.bias(prefix + "o_proj.bias", layer.output_bias);
}

void fill_separate_experts(Source& source, const std::string& prefix, const LayerWeights& layer) {
  const std::int64_t width = layer.down.size(2);
  for (std::int64_t e = 0; e < layer.down.size(0); ++e) {
    const std::string expert = sentence(prefix, "experts.", e, '.');
    source.matrix(expert + "gate_proj.weight", layer.gate_up.select(0, e).narrow(0, 0, width));
    source.matrix(expert + "up_proj.weight", layer.gate_up.select(0, e).narrow(0, width, width));
    source.matrix(expert + "down_proj.weight", layer.down.select(0, e));
  }
}

void fill_experts(Source& source, const std::string& prefix, const OlmoeConfig& config, LayerWeights& layer,
                  const at::TensorOptions& options) {
  const std::int64_t hidden = config.hidden_size, width = config.intermediate_size, experts = config.num_experts;
  layer.router = at::empty({experts, hidden}, options);
  layer.gate_up = at::empty({experts, 2 * width, hidden}, options);
  layer.down = at::empty({experts, hidden, width}, options);
  source.matrix(prefix + "gate.weight", layer.router);
  if (source.layout() == ExpertLayout::fused) {
    source.matrix(prefix + "experts.gate_up_proj", layer.gate_up);
    source.matrix(prefix + "experts.down_proj", layer.down);
  } else {
    fill_separate_experts(source, prefix, layer);
  }
  if (compute_all_experts(config, layer.down.scalar_type()))
    layer.down_flat = layer.down.permute({1, 0, 2}).reshape({hidden, experts * width});
}

Weights fill(Source& source, const OlmoeConfig& config, const at::TensorOptions& options) {
  const auto norm = [&](const std::string& name) {
    at::Tensor tensor = at::empty({config.hidden_size}, options);
    source.norm(name, tensor);
    return tensor;
  };
  Weights weights;
  weights.embedding = at::empty({config.vocab_size, config.hidden_size}, options);
  source.matrix("model.embed_tokens.weight", weights.embedding);
  for (int index = 0; index < config.num_hidden_layers; ++index) {
    const std::string prefix = sentence("model.layers.", index, '.');
    LayerWeights& layer = weights.layers.emplace_back();
    layer.input_norm = norm(prefix + "input_layernorm.weight");
    fill_attention(source, prefix + "self_attn.", config, layer, options);
    layer.expert_norm = norm(prefix + "post_attention_layernorm.weight");
    fill_experts(source, prefix + "mlp.", config, layer, options);
  }
  weights.norm = norm("model.norm.weight");
  weights.head = weights.embedding;
  if (!config.tie_word_embeddings) {
    weights.head = at::empty(weights.embedding.sizes(), options);
    source.matrix("lm_head.weight", weights.head);
  }
  return weights;
}

}  // namespace

Weights read_weights(const std::filesystem::path& folder, const OlmoeConfig& config, at::ScalarType dtype,
                     at::Device device) {
  Checkpoint source(config, Safetensors::open(folder));
  return fill(source, config, at::TensorOptions(device).dtype(dtype));
}

Weights draw_weights(std::uint64_t seed, const OlmoeConfig& config, at::ScalarType dtype, at::Device device) {
  Untrained source(seed, config.initializer_range);
  return fill(source, config, at::TensorOptions(device).dtype(dtype));
}

}  // namespace routesig::olmoe
