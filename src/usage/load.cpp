#include "routesig/usage/load.hpp"

#include <cmath>
#include <cstddef>
#include <numbers>
#include <numeric>

#include "routesig/error.hpp"
#include "routesig/statistics/binomial.hpp"

namespace routesig {
namespace detail {

Load load_of_sorted(std::span<const double> ascending) {
  const auto experts = static_cast<double>(ascending.size());
  const double total = std::accumulate(ascending.begin(), ascending.end(), 0.0);
  Load out;
  out.coverage.resize(ascending.size());
  if (!(total > 0.0)) return out;
  out.known = true;
  double squares = 0.0, ranked = 0.0, top = 0.0;
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    const double s = ascending[i] / total;
    if (s > 0.0) out.entropy_bits -= s * std::log2(s);
    squares += (s - 1.0 / experts) * (s - 1.0 / experts);
    ranked += (2.0 * static_cast<double>(i + 1) - experts - 1.0) * s;
    top += ascending[ascending.size() - 1 - i] / total;
    out.coverage[i] = top;
  }
  out.effective_experts = std::exp2(out.entropy_bits);
  out.cv = std::sqrt(squares * experts);  // sd of s is sqrt(squares / E), its mean 1 / E
  out.max_violation = ascending.back() / total * experts - 1.0;
  out.gini = ranked / experts;
  out.jain = 1.0 / (1.0 + out.cv * out.cv);
  out.balancedness = 1.0 / (1.0 + out.max_violation);
  return out;
}

BinomialTail binomial_tail(std::uint64_t n, double p, std::uint64_t most) {
  const auto trials = static_cast<double>(n);
  const double spread = 12.0 * std::sqrt(trials * p * (1.0 - p)) + 12.0;
  BinomialTail out{.first = static_cast<std::uint64_t>(std::max(0.0, std::floor(trials * p - spread))),
                   .step = 1 + static_cast<std::uint64_t>(2.0 * spread) / most};
  double sum = 0.0;
  for (std::uint64_t x = out.first; x <= n && static_cast<double>(x) <= trials * p + spread; x += out.step) {
    sum += static_cast<double>(out.step) * binomial_probability(static_cast<double>(x), trials, p);
    out.cumulative.push_back(std::min(sum, 1.0));
  }
  return out;
}

namespace {

/// Expected entropy in bits of the shares of `tokens` uniform draws: exact, for counts of one expert are binomial.
[[nodiscard]] double expected_entropy(std::size_t experts, double q, std::uint64_t tokens) {
  const BinomialTail one = binomial_tail(tokens, q);
  const double total = static_cast<double>(experts) * q * static_cast<double>(tokens);
  double entropy = 0.0, before = 0.0;
  for (std::size_t i = 0; i < one.cumulative.size(); ++i) {
    const double share = static_cast<double>(one.first + i * one.step) / total;
    if (share > 0.0) entropy -= (one.cumulative[i] - before) * share * std::log2(share);
    before = one.cumulative[i];
  }
  return static_cast<double>(experts) * entropy;
}

/// P(at least `least` of `n` independent events of probability p).
[[nodiscard]] std::vector<double> at_least_of(std::size_t n, double p) {
  std::vector<double> out(n + 1);  // [least]
  const auto trials = static_cast<double>(n);
  double sum = 0.0;
  for (std::size_t least = n; least > 0; --least) {
    const auto k = static_cast<double>(least);
    if (p > 0.0)
      sum += p < 1.0 ? std::exp(std::lgamma(trials + 1) - std::lgamma(k + 1) - std::lgamma(trials - k + 1) +
                                k * std::log(p) + (trials - k) * std::log1p(-p))
                     : (least == n ? 1.0 : 0.0);
    out[least] = std::min(sum, 1.0);
  }
  out[0] = 1.0;
  return out;
}

/// Expected counts of the least used expert, the next, ... [experts] when `tokens` draw top_k of `experts` uniformly.
[[nodiscard]] std::vector<double> expected_order(std::size_t experts, double q, std::uint64_t tokens) {
  const double mean = static_cast<double>(tokens) * q;
  const BinomialTail one = binomial_tail(tokens, q);
  std::vector<double> out(experts, static_cast<double>(one.first));
  for (const double cumulative : one.cumulative) {
    // The i-th smallest (0-based) exceeds x if at least experts - i do.
    const std::vector<double> exceeding = at_least_of(experts, 1.0 - cumulative);
    for (std::size_t i = 0; i < experts; ++i) out[i] += static_cast<double>(one.step) * exceeding[experts - i];
  }
  // Counts of distinct experts sum to tokens * top_k: correlated by -1 / (E - 1), which widens their deviations.
  const double wider = std::sqrt(static_cast<double>(experts) / static_cast<double>(experts - 1));
  for (double& x : out) x = std::clamp(mean + wider * (x - mean), 0.0, static_cast<double>(tokens));
  return out;
}

}  // namespace
}  // namespace detail

double entropy_bias_bits(int experts, int top_k, std::uint64_t tokens) {
  const double q = static_cast<double>(top_k) / experts;
  return (experts - 1) * (1.0 - q) / (2.0 * static_cast<double>(tokens) * top_k * std::numbers::ln2);
}

double unused_probability(int experts, int top_k, std::uint64_t tokens) {
  return std::pow(1.0 - static_cast<double>(top_k) / experts, static_cast<double>(tokens));
}

Load chance_load(int experts, int top_k, std::uint64_t tokens) {
  if (experts < 1 || top_k < 1 || top_k > experts)
    throw invalid_argument("load: expected 1 to ", experts, " experts per token, got ", top_k);
  const auto width = static_cast<std::size_t>(experts);
  if (tokens == 0) return detail::load_of_sorted(std::vector<double>(width));
  if (top_k == experts) return detail::load_of_sorted(std::vector<double>(width, 1.0));
  const double q = static_cast<double>(top_k) / experts;
  Load out = detail::load_of_sorted(detail::expected_order(width, q, tokens));
  out.entropy_bits = detail::expected_entropy(width, q, tokens);
  out.effective_experts = std::exp2(out.entropy_bits);
  out.cv = std::sqrt((1.0 - q) / (static_cast<double>(tokens) * q));
  out.jain = 1.0 / (1.0 + out.cv * out.cv);
  out.unused = experts * unused_probability(experts, top_k, tokens);
  return out;
}

}  // namespace routesig
