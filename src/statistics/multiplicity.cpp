#include "routesig/statistics/multiplicity.hpp"

#include <algorithm>
#include <cstddef>
#include <numeric>

#include "routesig/error.hpp"

namespace routesig {
namespace detail {
namespace {

/// Indices of `p`, smallest first; refuses what is no probability.
[[nodiscard]] std::vector<std::size_t> ascending(std::span<const double> p) {
  for (const double x : p)
    if (!(x >= 0.0 && x <= 1.0)) throw invalid_argument("multiplicity: expected p-values from 0 to 1, got ", x);
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return p[i]; });
  return order;
}

}  // namespace
}  // namespace detail

std::vector<double> holm(std::span<const double> p) {
  std::vector<double> out(p.size());
  double reached = 0.0, left = static_cast<double>(p.size());
  for (const std::size_t i : detail::ascending(p)) {
    reached = std::max(reached, std::min(1.0, left * p[i]));
    out[i] = reached;
    left -= 1.0;
  }
  return out;
}

std::vector<double> benjamini_hochberg(std::span<const double> p) {
  std::vector<double> out(p.size());
  const std::vector<std::size_t> order = detail::ascending(p);
  double reached = 1.0;
  for (std::size_t rank = order.size(); rank > 0; --rank) {
    const std::size_t i = order[rank - 1];
    reached = std::min(reached, p[i] * static_cast<double>(p.size()) / static_cast<double>(rank));
    out[i] = reached;
  }
  return out;
}

}  // namespace routesig
