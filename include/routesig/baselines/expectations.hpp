/// \file expectations.hpp
/// How similar signatures are expected to be where routing follows no task, in closed form.
///
///     const auto m = routesig::permutation_moments(set, /*a=*/0, /*b=*/1);        // m.mean, m.variance: exact
///     const double r = routesig::sampling_ratio(/*experts=*/64, /*top_k=*/8);     // 7 for OLMoE
///     const double s = routesig::sampled_similarity(/*tokens_a=*/32, /*tokens_b=*/32, r);    // .8205
#pragma once

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <span>

#include "routesig/baselines/expert_sampling.hpp"
#include "routesig/error.hpp"
#include "routesig/signature.hpp"
#include "routesig/similarity.hpp"
#include "routesig/statistics/unit_pairs.hpp"

namespace routesig {

/// Counts of signatures with the number of experts a row chose: [prompts, layers, experts], row-major.
struct CountView {
  std::span<const std::uint64_t> counts;
  std::size_t prompts = 0, layers = 0, experts = 0, top_k = 0;

  CountView(std::span<const std::uint64_t> all, std::size_t n, std::size_t l, std::size_t e, std::size_t k)
      : counts(all), prompts(n), layers(l), experts(e), top_k(k) {
    if (counts.size() != prompts * layers * experts)
      throw invalid_argument("baselines: expected ", prompts * layers * experts, " counts (", prompts, " prompts x ",
                             layers, " layers x ", experts, " experts), got ", counts.size());
    if (top_k < 1 || top_k > experts)
      throw invalid_argument("baselines: expected top_k from 1 to ", experts, " (the number of experts), got ", top_k);
  }
  CountView(const SignatureSet<double>& set, std::size_t k)
      : CountView(set.counts, set.size(), static_cast<std::size_t>(set.layers), static_cast<std::size_t>(set.experts),
                  k) {}

  [[nodiscard]] std::span<const std::uint64_t> row(std::size_t prompt, std::size_t layer) const noexcept {
    return counts.subspan((prompt * layers + layer) * experts, experts);
  }
  /// T of one layer: tokens whose routing is known there, its selections over top_k, rounded up.
  [[nodiscard]] std::size_t tokens(std::size_t prompt, std::size_t layer) const {
    const auto cells = row(prompt, layer);
    return (std::accumulate(cells.begin(), cells.end(), std::uint64_t{0}) + top_k - 1) / top_k;
  }
};

/// Mean and variance of the similarity of two signatures.
struct SimilarityMoments {
  double mean = 0.0;
  double variance = 0.0;
};

namespace detail {

/// What one row gives to the moments of `permutation_moments`, which are products of those of two rows.
[[nodiscard]] SimilarityMoments permutation_factor(std::span<const double> row, std::size_t layers);

}  // namespace detail

/// Two signatures whose experts are relabelled at random, independently in every layer: exactly. Per layer the cosine
/// has mean 1 / (E |a| |b|) and variance S_a S_b / ((E - 1) |a|^2 |b|^2), S the sum of (s - 1/E)^2.
[[nodiscard]] SimilarityMoments permutation_moments(const SignatureView& set, std::size_t a, std::size_t b);

/// What sampling adds to |s|^2, relative to its limit for many tokens: |s|^2 = m (1 + r / T). For a router without
/// preference r = E/K - 1, or (E - 1)/K where the experts of a token are drawn with replacement.
[[nodiscard]] double sampling_ratio(std::size_t experts, std::size_t top_k, RowDraws draws = RowDraws::distinct);

/// The same for tokens that choose expert e with probability pi_e = K A_e / sum A: r = (K - m)/m, m the sum of pi^2.
[[nodiscard]] double sampling_ratio(std::span<const std::uint64_t> totals, std::size_t top_k);

/// Expected cosine of the signatures of T_a and T_b independent tokens of one router: 1 / sqrt((1 + r/T_a)(1 + r/T_b)),
/// within .004 from T = 8 on. It grows with T, to 1. 0 where there are no tokens.
[[nodiscard]] double sampled_similarity(double tokens_a, double tokens_b, double ratio);

/// Sums over the pairs of labelled prompts of different units, of one task and of two.
struct TaskPairSums {
  double within = 0.0, across = 0.0;
};

/// The sums of x_i . x_j, of rows x [prompts, width]: squares of sums, so that no pair is visited.
[[nodiscard]] TaskPairSums sums_of_products(std::span<const double> rows, std::size_t width, const Units& units);

/// What a baseline expects of mean within- and across-task similarity, and the sd of both over repetitions where known.
struct ClosedForm {
  std::optional<double> within, across, difference;
  std::optional<double> within_sd{}, across_sd{}, difference_sd{};
};

/// The closed form, where a pair of prompts has mean m_i . m_j, rows m [prompts, width], and, unless they are empty,
/// variance v_i . v_j. Similarities of different pairs are uncorrelated in all nulls that have variances here, so
/// variances of means add up.
[[nodiscard]] ClosedForm closed_form(const Units& units, std::size_t width, std::span<const double> means,
                                     std::span<const double> variances = {});

/// The text length at which load balancing alone is as similar as prompts of one task are: T* = (r w - r') / (1 - w),
/// r the ratio of load balancing, w within-task similarity and r' the model's ratio, both freed of text length. Longer
/// texts fall below the load-balance baseline whatever the model does. At most 0: they always do.
[[nodiscard]] std::optional<double> break_even_tokens(double within, double model_ratio, double balanced_ratio);

/// What `break_even_tokens` needs, estimated.
struct LengthFree {
  double within = 0.0;  ///< within-task similarity, as of endless texts
  double ratio = 0.0;   ///< the model's r'
};

/// Tokens that a prompt must have in every layer for a similarity without text length.
inline constexpr std::size_t kLengthFreeTokens = 8;

/// From counts alone: per layer w = (sum of c_a.c_b / (T_a T_b)) / (sum of sqrt(m_a m_b)) over pairs of one task, with
/// m = (|c|^2 - T K) / (T (T - 1)), and r' = (K - m)/m of the mean m; means over layers. Absent without a pair, where a
/// prompt of one has fewer than 8 tokens in a layer, and where an m is not positive.
[[nodiscard]] std::optional<LengthFree> length_free(const CountView& set, std::span<const int> task,
                                                    std::span<const int> group = {});

}  // namespace routesig
