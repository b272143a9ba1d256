// Attention over sequences of unequal lengths: a key/value cache and the rotary position embedding.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "routesig/model/config.hpp"

namespace routesig::olmoe {

// A whole sequence inside the packed rows of one forward step.
struct Segment {
  std::int64_t first_row = 0;
  std::int64_t length = 0;
  std::int64_t slot = 0;  // of the cache, where there is one
};

// cos and sin of the rotary embedding at the given positions: [rows, 1, d], in the model's dtype.
struct Rotation {
  at::Tensor cosine, sine;
};
[[nodiscard]] Rotation rotation(const OlmoeConfig& config, const at::Tensor& positions, at::ScalarType dtype);

// states [rows, heads, d], rotated in halves as Hugging Face pairs them.
[[nodiscard]] at::Tensor rotate(const at::Tensor& states, const Rotation& by);

// Keys and values of the sequences that are being continued, a slot each. Slots 0 ... used() - 1 are taken.
class KeyValueCache {
 public:
  KeyValueCache(const OlmoeConfig& config, std::int64_t slots, std::int64_t capacity, const at::TensorOptions& options);

  [[nodiscard]] std::int64_t used() const noexcept { return static_cast<std::int64_t>(lengths_.size()); }
  // Takes the next slot for a sequence of `length` tokens, whose keys and values are then put layer by layer.
  std::int64_t take_slot(std::int64_t length);
  void put(std::size_t layer, const Segment& segment, const at::Tensor& keys, const at::Tensor& values);

  // Every used slot grows by one token. To be called before the layers of a step append.
  void grow();
  // keys, values [used, G d]: the new token of every slot. Then `keys(layer)` and `values(layer)` include it.
  void append(std::size_t layer, const at::Tensor& keys, const at::Tensor& values);
  // [used, G, longest, d]; what lies past a slot's own length is masked by `mask`.
  [[nodiscard]] at::Tensor keys(std::size_t layer) const { return view(keys_[layer]); }
  [[nodiscard]] at::Tensor values(std::size_t layer) const { return view(values_[layer]); }
  // Added to attention scores, [used, 1, 1, longest]: 0 inside a slot's length, -inf past it. Undefined if all are
  // equal.
  [[nodiscard]] const at::Tensor& mask() const noexcept { return mask_; }

  // Frees a slot; the last used one moves into its place.
  void release(std::int64_t slot);

 private:
  [[nodiscard]] at::Tensor view(const at::Tensor& all) const;
  void reserve(std::int64_t capacity);

  std::int64_t slots_, capacity_, groups_, head_size_;
  at::TensorOptions options_;
  std::vector<at::Tensor> keys_, values_;  // for each layer [slots, capacity, G d]
  std::vector<std::int64_t> lengths_;      // [used]
  std::int64_t longest_ = 0;
  at::Tensor last_;  // int64 [used] flat index slot * capacity + length - 1 of the newest token
  at::Tensor mask_;
};

// Each segment attends to itself, causally: queries [rows, H, d], keys and values [rows, G, d] -> [rows, H d].
[[nodiscard]] at::Tensor attend_within(std::span<const Segment> segments, const at::Tensor& queries,
                                       const at::Tensor& keys, const at::Tensor& values);

// Row i is the newest token of slot i: queries [used, H, d] -> [used, H d].
[[nodiscard]] at::Tensor attend_cached(const KeyValueCache& cache, std::size_t layer, const at::Tensor& queries);

}  // namespace routesig::olmoe
