#include "routesig/baselines/expectations.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

namespace routesig {
namespace detail {

SimilarityMoments permutation_factor(std::span<const double> row, std::size_t layers) {
  const auto experts = static_cast<double>(row.size()), all = static_cast<double>(layers);
  const double total = std::accumulate(row.begin(), row.end(), 0.0), mean = total / experts;
  double squares = 0.0, spread = 0.0;
  for (const double x : row) {
    squares += x * x;
    spread += (x - mean) * (x - mean);
  }
  if (!(squares > 0.0)) return {};
  return {.mean = total / std::sqrt(experts * squares * all),
          .variance = row.size() > 1 ? spread / (std::sqrt(experts - 1.0) * squares * all) : 0.0};
}

}  // namespace detail

SimilarityMoments permutation_moments(const SignatureView& set, std::size_t a, std::size_t b) {
  SimilarityMoments out;
  for (std::size_t l = 0; l < set.layers; ++l) {
    const auto x = detail::permutation_factor(set.row(a, l), set.layers),
               y = detail::permutation_factor(set.row(b, l), set.layers);
    out.mean += x.mean * y.mean;
    out.variance += x.variance * y.variance;
  }
  return out;
}

double sampling_ratio(std::size_t experts, std::size_t top_k, RowDraws draws) {
  if (top_k < 1 || top_k > experts)
    throw invalid_argument("baselines: expected top_k from 1 to ", experts, " (the number of experts), got ", top_k);
  const auto e = static_cast<double>(experts), k = static_cast<double>(top_k);
  return draws == RowDraws::distinct ? e / k - 1.0 : (e - 1.0) / k;
}

double sampling_ratio(std::span<const std::uint64_t> totals, std::size_t top_k) {
  double sum = 0.0, squares = 0.0;
  for (const std::uint64_t a : totals) {
    sum += static_cast<double>(a);
    squares += static_cast<double>(a) * static_cast<double>(a);
  }
  return sum > 0.0 ? sum * sum / (static_cast<double>(top_k) * squares) - 1.0 : 0.0;
}

double sampled_similarity(double tokens_a, double tokens_b, double ratio) {
  if (!(tokens_a > 0.0) || !(tokens_b > 0.0)) return 0.0;
  return 1.0 / std::sqrt((1.0 + ratio / tokens_a) * (1.0 + ratio / tokens_b));
}

TaskPairSums sums_of_products(std::span<const double> rows, std::size_t width, const Units& units) {
  std::map<int, std::vector<double>> tasks;
  std::vector<double> all(width), of_unit(width);
  const auto square = [](std::span<const double> x) { return std::inner_product(x.begin(), x.end(), x.begin(), 0.0); };
  double own = 0.0;
  for (std::size_t unit = 0; unit < units.size(); ++unit) {
    std::ranges::fill(of_unit, 0.0);
    for (const std::size_t i : units.members(unit))
      for (std::size_t k = 0; k < width; ++k) of_unit[k] += rows[i * width + k];
    own += square(of_unit);
    std::vector<double>& of_task = tasks.try_emplace(units.task()[unit], width).first->second;
    for (std::size_t k = 0; k < width; ++k) {
      of_task[k] += of_unit[k];
      all[k] += of_unit[k];
    }
  }
  double same = 0.0;
  for (const auto& [name, sum] : tasks) same += square(sum);
  return {.within = (same - own) / 2.0, .across = (square(all) - same) / 2.0};
}

ClosedForm closed_form(const Units& units, std::size_t width, std::span<const double> means,
                       std::span<const double> variances) {
  const TaskPairSums pairs = sums_of_products(std::vector<double>(units.prompts(), 1.0), 1, units);
  const TaskPairSums mean = sums_of_products(means, width, units);
  ClosedForm out;
  if (pairs.within > 0.0 && !units.short_task()) out.within = mean.within / pairs.within;
  if (pairs.across > 0.0) out.across = mean.across / pairs.across;
  if (out.within && out.across) out.difference = *out.within - *out.across;
  if (variances.empty()) return out;
  const TaskPairSums variance = sums_of_products(variances, width, units);
  const double within = variance.within / (pairs.within * pairs.within),
               across = variance.across / (pairs.across * pairs.across);
  if (out.within) out.within_sd = std::sqrt(std::max(within, 0.0));
  if (out.across) out.across_sd = std::sqrt(std::max(across, 0.0));
  if (out.difference) out.difference_sd = std::sqrt(std::max(within + across, 0.0));
  return out;
}

std::optional<double> break_even_tokens(double within, double model_ratio, double balanced_ratio) {
  if (!(within < 1.0)) return std::nullopt;
  return (balanced_ratio * within - model_ratio) / (1.0 - within);
}

std::optional<LengthFree> length_free(const CountView& set, std::span<const int> task, std::span<const int> group) {
  if (Units(task, group).short_task()) return std::nullopt;
  std::map<int, std::size_t> sizes;
  for (const int one : task) ++sizes[one];
  std::vector<int> paired(task.begin(), task.end());  // -1: no other prompt of the task
  for (int& one : paired)
    if (one >= 0 && sizes[one] < 2) one = -1;
  const Units units(paired, group);
  LengthFree out;
  const auto k = static_cast<double>(set.top_k), layers = static_cast<double>(set.layers);
  for (std::size_t l = 0; l < set.layers; ++l) {
    std::vector<double> shares(task.size() * set.experts), norms(task.size());
    double sum = 0.0, prompts = 0.0;
    for (std::size_t p = 0; p < task.size(); ++p) {
      if (paired[p] < 0) continue;
      const auto tokens = static_cast<double>(set.tokens(p, l));
      if (tokens < static_cast<double>(kLengthFreeTokens)) return std::nullopt;
      double squares = 0.0;
      for (std::size_t e = 0; e < set.experts; ++e) {
        const auto c = static_cast<double>(set.row(p, l)[e]);
        squares += c * c;
        shares[p * set.experts + e] = c / tokens;
      }
      const double m = (squares - tokens * k) / (tokens * (tokens - 1.0));
      if (!(m > 0.0)) return std::nullopt;
      norms[p] = std::sqrt(m);
      sum += m;
      prompts += 1.0;
    }
    if (!(prompts > 0.0)) return std::nullopt;
    const double inner = sums_of_products(shares, set.experts, units).within;
    out.within += inner / sums_of_products(norms, 1, units).within / layers;
    out.ratio += (k * prompts / sum - 1.0) / layers;
  }
  return out;
}

}  // namespace routesig
