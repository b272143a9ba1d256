#include "routesig/usage/uncertainty.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <vector>

#include "routesig/error.hpp"

namespace routesig {

std::optional<Uncertainty> uncertainty(std::span<const float> logits, int top_k) {
  const auto k = static_cast<std::size_t>(top_k);
  if (top_k < 1 || k > logits.size())
    throw invalid_argument("uncertainty: expected top_k from 1 to ", logits.size(), " (the number of experts), got ",
                           top_k);
  if (!std::ranges::all_of(logits, [](float x) { return std::isfinite(x); })) return std::nullopt;
  std::vector<double> sorted(logits.begin(), logits.end());
  std::ranges::sort(sorted, std::greater<>());
  double total = 0.0, weighted = 0.0;  // of exp(x - max): its sum, and its sum times (x - max)
  Uncertainty out;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    const double below = sorted[i] - sorted[0], e = std::exp(below);
    total += e;
    weighted += e * below;
    if (i + 1 == k) out.mass = total;
  }
  out.entropy_bits = std::max(0.0, (std::log(total) - weighted / total) / std::log(2.0));
  out.mass /= total;
  out.gap = (1.0 - (sorted.size() > 1 ? std::exp(sorted[1] - sorted[0]) : 0.0)) / total;
  if (k < sorted.size()) out.margin = sorted[k - 1] - sorted[k];
  return out;
}

}  // namespace routesig
