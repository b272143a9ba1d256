#include "attention.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <limits>

namespace routesig::olmoe {
namespace {

// [batch, heads, queries, d]; key/value heads shared by several query heads are not copied.
at::Tensor attend(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values, const at::Tensor& mask,
                  bool causal) {
  const auto given_mask = mask.defined() ? std::optional<at::Tensor>(mask) : std::nullopt;
  return at::scaled_dot_product_attention(queries, keys, values, given_mask, /*dropout_p=*/0.0, causal,
                                          /*scale=*/std::nullopt, /*enable_gqa=*/queries.size(1) != keys.size(1));
}

at::Tensor on_device(const std::vector<std::int64_t>& values, at::Device device) {
  at::Tensor tensor = at::empty({static_cast<std::int64_t>(values.size())}, at::kLong);
  std::ranges::copy(values, tensor.mutable_data_ptr<std::int64_t>());
  return tensor.to(device);
}

}  // namespace

Rotation rotation(const OlmoeConfig& config, const at::Tensor& positions, at::ScalarType dtype) {
  const std::int64_t head_size = config.head_dim;
  const auto options = positions.options().dtype(at::kFloat);
  const at::Tensor exponents = at::arange(0, head_size, 2, options) / static_cast<double>(head_size);
  const at::Tensor frequencies = at::pow(at::Scalar(config.rope_theta), exponents).reciprocal();
  const at::Tensor angles = positions.to(at::kFloat).unsqueeze(-1) * frequencies;  // [rows, d / 2]
  const at::Tensor both = at::cat({angles, angles}, -1).unsqueeze(1);
  return {both.cos().to(dtype), both.sin().to(dtype)};
}

at::Tensor rotate(const at::Tensor& states, const Rotation& by) {
  const std::int64_t half = states.size(-1) / 2;
  const at::Tensor turned = at::cat({states.narrow(-1, half, half).neg(), states.narrow(-1, 0, half)}, -1);
  return states * by.cosine + turned * by.sine;
}

KeyValueCache::KeyValueCache(const OlmoeConfig& config, std::int64_t slots, std::int64_t capacity,
                             const at::TensorOptions& options)
    : slots_(slots),
      capacity_(capacity),
      groups_(config.num_key_value_heads),
      head_size_(config.head_dim),
      options_(options) {
  for (int layer = 0; layer < config.num_hidden_layers; ++layer) {
    // Zeros: masked places are multiplied by 0, and 0 times what memory happens to hold may be NaN.
    keys_.push_back(at::zeros({slots_, capacity_, groups_ * head_size_}, options_));
    values_.push_back(at::zeros({slots_, capacity_, groups_ * head_size_}, options_));
  }
}

std::int64_t KeyValueCache::take_slot(std::int64_t length) {
  lengths_.push_back(length);
  return used() - 1;
}

void KeyValueCache::put(std::size_t layer, const Segment& segment, const at::Tensor& keys, const at::Tensor& values) {
  const auto place = [&](const at::Tensor& all) { return all.select(0, segment.slot).narrow(0, 0, segment.length); };
  place(keys_[layer]).copy_(keys.narrow(0, segment.first_row, segment.length).flatten(1));
  place(values_[layer]).copy_(values.narrow(0, segment.first_row, segment.length).flatten(1));
}

void KeyValueCache::grow() {
  for (std::int64_t& length : lengths_) ++length;
  const auto [shortest, longest] = std::ranges::minmax(lengths_);
  longest_ = longest;
  if (longest_ > capacity_) reserve(std::max(longest_, 2 * capacity_));

  std::vector<std::int64_t> last(lengths_.size());
  for (std::size_t slot = 0; slot < last.size(); ++slot)
    last[slot] = static_cast<std::int64_t>(slot) * capacity_ + lengths_[slot] - 1;
  last_ = on_device(last, options_.device());

  mask_ = at::Tensor();
  if (shortest == longest) return;
  const auto index = options_.dtype(at::kLong);
  const at::Tensor lengths = on_device(lengths_, options_.device()).view({-1, 1, 1, 1});
  const at::Tensor outside = at::arange(longest_, index) >= lengths;
  mask_ = at::zeros(outside.sizes(), options_).masked_fill_(outside, -std::numeric_limits<double>::infinity());
}

void KeyValueCache::append(std::size_t layer, const at::Tensor& keys, const at::Tensor& values) {
  keys_[layer].view({slots_ * capacity_, -1}).index_copy_(0, last_, keys.flatten(1));
  values_[layer].view({slots_ * capacity_, -1}).index_copy_(0, last_, values.flatten(1));
}

at::Tensor KeyValueCache::view(const at::Tensor& all) const {
  return all.narrow(0, 0, used()).narrow(1, 0, longest_).unflatten(2, {groups_, head_size_}).transpose(1, 2);
}

void KeyValueCache::reserve(std::int64_t capacity) {
  for (std::vector<at::Tensor>* all : {&keys_, &values_})
    for (at::Tensor& old : *all) {
      at::Tensor grown = at::zeros({slots_, capacity, groups_ * head_size_}, options_);
      grown.narrow(1, 0, capacity_).copy_(old);
      old = grown;
    }
  capacity_ = capacity;
}

void KeyValueCache::release(std::int64_t slot) {
  const std::int64_t last = used() - 1;
  if (slot != last)
    for (std::vector<at::Tensor>* all : {&keys_, &values_})
      for (at::Tensor& layer : *all) layer.select(0, slot).copy_(layer.select(0, last));
  lengths_[static_cast<std::size_t>(slot)] = lengths_.back();
  lengths_.pop_back();
}

at::Tensor attend_within(std::span<const Segment> segments, const at::Tensor& queries, const at::Tensor& keys,
                         const at::Tensor& values) {
  at::Tensor out = at::empty_like(queries);  // [rows, H, d]
  for (const Segment& segment : segments) {
    const auto part = [&](const at::Tensor& all) {
      return all.narrow(0, segment.first_row, segment.length).transpose(0, 1).unsqueeze(0);  // [1, heads, length, d]
    };
    part(out).copy_(attend(part(queries), part(keys), part(values), {}, /*causal=*/segment.length > 1));
  }
  return out.flatten(1);
}

at::Tensor attend_cached(const KeyValueCache& cache, std::size_t layer, const at::Tensor& queries) {
  const at::Tensor out =
      attend(queries.unsqueeze(2), cache.keys(layer), cache.values(layer), cache.mask(), /*causal=*/false);
  return out.flatten(1);  // [used, H, 1, d] -> [used, H d]
}

}  // namespace routesig::olmoe
