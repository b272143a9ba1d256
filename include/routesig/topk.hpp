/// \file topk.hpp
/// The router's rule, in plain code: softmax over all experts, the top k on the logits, ties to the lower index.
/// Every faster kernel is tested against this one.
///
///     const std::vector<float> logits{0.1F, 2.0F, 2.0F, -1.0F};
///     std::vector<routesig::ExpertId> experts(2);
///     std::vector<float> weights(2);
///     routesig::route_row(logits, experts, weights);  // experts {1, 2}: a tie goes to the lower index
///
/// Order: NaN lies below -inf, -0 equals +0, equal logits keep their index order, so the ids of a row are always
/// distinct. A row that holds a NaN or a +inf, or nothing but -inf, has no softmax: its ids still follow the order, all
/// its weights are NaN, and `route_row` returns true so that nobody overlooks it.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

#include "routesig/routing.hpp"

namespace routesig {

/// Bits of `logit` that order as unsigned integers do: NaN lowest, then -inf ... +inf; -0 equals +0.
[[nodiscard]] inline std::uint32_t order_key(float logit) noexcept {
  if (std::isnan(logit)) return 0;
  const auto bits = std::bit_cast<std::uint32_t>(logit == 0.0F ? 0.0F : logit);
  return (bits & 0x8000'0000U) != 0 ? ~bits : bits | 0x8000'0000U;
}

/// The `experts.size()` largest of `logits`, best first.
inline void top_k(std::span<const float> logits, std::span<ExpertId> experts) {
  if (experts.empty() || experts.size() > logits.size())
    throw invalid_argument("top_k: expected k from 1 to ", logits.size(), " (the number of experts), got ",
                           experts.size());
  if (logits.size() > static_cast<std::size_t>(kMaxExperts))
    throw invalid_argument("top_k: expected at most ", kMaxExperts, " experts, got ", logits.size());
  std::vector<ExpertId> order(logits.size());
  std::iota(order.begin(), order.end(), ExpertId{0});
  const auto better = [&](ExpertId a, ExpertId b) {
    const std::uint32_t ka = order_key(logits[a]), kb = order_key(logits[b]);
    return ka != kb ? ka > kb : a < b;
  };
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(experts.size()), order.end(), better);
  std::copy_n(order.begin(), experts.size(), experts.begin());
}

/// True where `logits` has no softmax: a NaN, a +inf, or nothing but -inf.
[[nodiscard]] inline bool is_nonfinite(std::span<const float> logits) noexcept {
  bool any_finite = false;
  for (const float logit : logits) {
    if (std::isnan(logit) || logit == std::numeric_limits<float>::infinity()) return true;
    any_finite = any_finite || std::isfinite(logit);
  }
  return !any_finite;
}

/// Routes one row: p = softmax(logits) over all experts in fp32 [paper eq. 1], the k largest logits, their p as weights
/// (divided by their sum where `renormalize`; a sum of 0 gives 1/k each). Returns true where the row is not finite.
inline bool route_row(std::span<const float> logits, std::span<ExpertId> experts, std::span<float> weights,
                      bool renormalize = false) {
  top_k(logits, experts);
  if (weights.size() != experts.size())
    throw invalid_argument("route_row: expected ", experts.size(), " weights, got ", weights.size());
  if (is_nonfinite(logits)) {
    std::ranges::fill(weights, std::numeric_limits<float>::quiet_NaN());
    return true;
  }
  const float largest = logits[experts[0]];
  float total = 0.0F;
  for (const float logit : logits) total += std::exp(logit - largest);
  float kept = 0.0F;
  for (std::size_t i = 0; i < experts.size(); ++i) {
    weights[i] = std::exp(logits[experts[i]] - largest) / total;
    kept += weights[i];
  }
  if (renormalize)
    for (float& weight : weights) weight = kept > 0.0F ? weight / kept : 1.0F / static_cast<float>(experts.size());
  return false;
}

}  // namespace routesig
