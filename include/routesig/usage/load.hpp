/// \file load.hpp
/// How evenly experts are used, and how even chance would be.
///
///     const auto found = routesig::load(counts);                               // one layer's counts or shares
///     const auto chance = routesig::chance_load(/*experts=*/64, /*top_k=*/8, /*tokens=*/46);
///     use(found.entropy_bits, chance.entropy_bits);
///
/// Chance: every token draws top_k distinct experts uniformly. Its counts are close to binomial; their expected order
/// statistics give every measure without simulation.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace routesig {

/// The load of one layer. All of a layer without any routed token are 0: see `known`.
struct Load {
  bool known = false;
  double entropy_bits = 0.0;       ///< H = -sum s log2 s; log2(experts) where even
  double effective_experts = 0.0;  ///< 2^H
  double cv = 0.0;                 ///< sd (ddof 0) over mean (Shazeer et al., arXiv 1701.06538)
  double max_violation = 0.0;      ///< max / mean - 1 (Wang et al., arXiv 2408.15664)
  double gini = 0.0;               ///< 0 even, 1 - 1 / experts where one expert has all
  double jain = 0.0;               ///< (sum s)^2 / (experts sum s^2) = 1 / (1 + cv^2) (Jain et al., 1984)
  double balancedness = 0.0;       ///< mean / max
  double unused = 0.0;             ///< experts without a token; by chance: their expected number
  std::vector<double> coverage{};  ///< [experts] share of the n + 1 most used experts
};

namespace detail {

/// Load from values in ascending order, except `unused`.
[[nodiscard]] Load load_of_sorted(std::span<const double> ascending);

/// P(X <= x) for x = first, first + step, ... until it is 1 to 1e-15, X binomial(n, p). A step above 1 stands for the
/// numbers around it.
struct BinomialTail {
  std::uint64_t first = 0, step = 1;
  std::vector<double> cumulative{};
};

/// With about `most` steps or fewer, so that long texts cost no more than short ones. Steps of a fortieth of the sd, as
/// 1024 are, change expected order statistics by a ten-thousandth of the sd.
[[nodiscard]] BinomialTail binomial_tail(std::uint64_t n, double p, std::uint64_t most = 1024);

}  // namespace detail

/// The load of one layer's counts (or shares) [experts].
template <typename Count>
[[nodiscard]] Load load(std::span<const Count> counts) {
  std::vector<double> ascending(counts.begin(), counts.end());
  std::ranges::sort(ascending);
  Load out = detail::load_of_sorted(ascending);
  if (out.known) out.unused = static_cast<double>(std::ranges::count(ascending, 0.0));
  return out;
}

/// How far the entropy of counts lies below that of the routing they sample, on average: (E - 1)(1 - q) / (2 T K ln 2)
/// bits, q = K / E (Miller 1955, for K distinct experts per token). To be added, so positive.
[[nodiscard]] double entropy_bias_bits(int experts, int top_k, std::uint64_t tokens);

/// Probability that a uniformly routed expert gets none of `tokens` tokens: (1 - K/E)^T. The p-value of "dead".
[[nodiscard]] double unused_probability(int experts, int top_k, std::uint64_t tokens);

/// What uniform routing of `tokens` tokens would show on average. Entropy and unused are exact, cv is the root of the
/// exact mean square; the others put expected order statistics into the measure, within 5 % of simulation from 8 tokens
/// on.
[[nodiscard]] Load chance_load(int experts, int top_k, std::uint64_t tokens);

}  // namespace routesig
