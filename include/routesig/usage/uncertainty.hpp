/// \file uncertainty.hpp
/// How sure a router is of its choice, from its logits.
///
///     const auto one = routesig::uncertainty(logits, /*top_k=*/8);               // one row of experts' logits
///     if (one) use(one->entropy_bits, one->margin);
///
/// A flat router has entropy log2 E, gap 0, mass K / E and margin 0.
#pragma once

#include <optional>
#include <span>

namespace routesig {

/// Of p(e | h), the softmax over all experts, and of the logits themselves.
struct Uncertainty {
  double entropy_bits = 0.0;  ///< entropy of p
  double gap = 0.0;           ///< largest p minus second largest; the largest where there is one expert
  double mass = 0.0;          ///< sum of the top_k largest p
  double margin = 0.0;        ///< logit of rank K minus logit of rank K + 1; 0 where every expert is chosen
};

/// Of one row of logits [experts]; nothing where one is not finite.
[[nodiscard]] std::optional<Uncertainty> uncertainty(std::span<const float> logits, int top_k);

}  // namespace routesig
