/// \file baselines.hpp
/// What within- and across-task similarity would be if routing followed no task: four nulls [paper section 4.5].
///
///     const auto base = routesig::load_balance_baseline({set, /*top_k=*/8}, tasks, {.repetitions = 1000});
///     base.observed.within.mean;              // of the prompts as they are
///     base.repetitions.within[0];             // of the first repetition
///     base.closed_form->within;               // expected, without drawing
///
/// Repetition i draws from a stream of its own: the same seed gives the same bytes on any number of threads.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "routesig/count_sampling.hpp"
#include "routesig/error.hpp"
#include "routesig/expectations.hpp"
#include "routesig/expert_sampling.hpp"
#include "routesig/parallel.hpp"
#include "routesig/random.hpp"
#include "routesig/signature.hpp"
#include "routesig/signature_separation.hpp"
#include "routesig/similarity.hpp"
#include "routesig/statistics.hpp"
#include "routesig/token_pool.hpp"
#include "routesig/unit_pairs.hpp"

namespace routesig {

struct BaselineOptions {
  std::size_t repetitions = 1000;
  std::uint64_t seed = 0;
  Progress progress{};
};

/// The separation of every repetition: [repetitions] each, or empty where undefined in any of them.
struct Repetitions {
  std::vector<double> within, across, difference, cohens_d;
  std::optional<double> within_pair_sd, across_pair_sd;  ///< mean over repetitions of the sd over pairs
};

struct Baseline {
  Separation observed;                      ///< of the prompts as they are
  Repetitions repetitions;                  ///< of the null
  std::optional<ClosedForm> closed_form{};  ///< of the null, expected; absent where prompts lack layers
  std::optional<PValue> p_value{};  ///< of the observed within - across, where the null is a hypothesis about it
};

/// The tasks of prompts, negative where unknown, and their groups [prompts] (or none: each prompt alone).
struct Labels {
  std::span<const int> task{}, group{};

  Labels() = default;
  Labels(std::span<const int> tasks, std::span<const int> groups = {})  // NOLINT(google-explicit-constructor)
      : task(tasks), group(groups) {}
  Labels(const std::vector<int>& tasks) : task(tasks) {}  // NOLINT(google-explicit-constructor): tasks alone are labels
  [[nodiscard]] Units units() const { return Units(task, group); }
};

namespace detail {

/// One entry per repetition, or nothing where one of them has no value.
template <typename Value>
[[nodiscard]] std::vector<double> column(std::span<const Separation> found, const Value& value) {
  std::vector<double> out;
  for (const Separation& one : found)
    if (const std::optional<double> x = value(one)) out.push_back(*x);
  if (out.size() != found.size()) out.clear();
  return out;
}

[[nodiscard]] inline std::optional<double> mean(std::span<const double> values) {
  if (values.empty()) return std::nullopt;
  double sum = 0.0;
  for (const double x : values) sum += x;
  return sum / static_cast<double>(values.size());
}

[[nodiscard]] inline Repetitions columns(std::span<const Separation> found) {
  return {.within = column(found, [](const Separation& s) { return s.within.mean; }),
          .across = column(found, [](const Separation& s) { return s.across.mean; }),
          .difference = column(found, [](const Separation& s) { return s.difference(); }),
          .cohens_d = column(found, [](const Separation& s) { return s.cohens_d; }),
          .within_pair_sd = mean(column(found, [](const Separation& s) { return s.within.sd; })),
          .across_pair_sd = mean(column(found, [](const Separation& s) { return s.across.sd; }))};
}

/// Repeats fill(random, values) on zeroed values [prompts, layers, experts], which need not be normalised.
template <typename Fill>
[[nodiscard]] Repetitions repeat(const SignatureView& shape, const Labels& labels, Draws purpose,
                                 const BaselineOptions& options, const Fill& fill) {
  std::vector<Separation> found(options.repetitions);
  const auto one = [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      Random random(options.seed, stream(purpose, i));
      std::vector<double> values(shape.values.size());
      fill(random, std::span(values));
      found[i] = signature_separation({values, shape.prompts, shape.layers, shape.experts}, labels.task, labels.group);
    }
  };
  parallel_for(options.repetitions, 1, one, options.progress);
  return columns(found);
}

/// Repeats add(random, tokens, counts) for every prompt: `tokens` [layers] and zeroed `counts` [layers, experts].
template <typename Add>
[[nodiscard]] Repetitions repeat_rows(const CountView& set, const SignatureView& shape, const Labels& labels,
                                      Draws purpose, const BaselineOptions& options, const Add& add) {
  std::vector<std::size_t> tokens;  // [prompts, layers]
  for (std::size_t p = 0; p < set.prompts; ++p)
    for (std::size_t l = 0; l < set.layers; ++l) tokens.push_back(set.tokens(p, l));
  return repeat(shape, labels, purpose, options, [&](Random& random, std::span<double> values) {
    std::vector<std::uint64_t> counts(set.layers * set.experts);
    for (std::size_t p = 0; p < set.prompts; ++p) {
      interruption_point();
      std::ranges::fill(counts, 0U);
      add(random, std::span(tokens).subspan(p * set.layers, set.layers), std::span(counts));
      std::ranges::copy(counts, values.begin() + static_cast<std::ptrdiff_t>(p * counts.size()));
    }
  });
}

/// The expected similarity of every pair of prompts, from the sampling ratio of every layer.
[[nodiscard]] inline ClosedForm sampled_form(const CountView& set, const Labels& labels,
                                             std::span<const double> ratios) {
  std::vector<double> factors;  // [prompts, layers]: 1 / sqrt(1 + r / T), two of which make the similarity of a pair
  for (std::size_t p = 0; p < set.prompts; ++p)
    for (std::size_t l = 0; l < set.layers; ++l) {
      const auto tokens = static_cast<double>(set.tokens(p, l));
      factors.push_back(std::sqrt(sampled_similarity(tokens, tokens, ratios[l])));
    }
  for (double& x : factors) x /= std::sqrt(static_cast<double>(set.layers));
  return closed_form(labels.units(), set.layers, factors);
}

/// Counts as values: cosines do not depend on the scale of a layer.
[[nodiscard]] inline std::vector<double> as_values(const CountView& set) {
  return {set.counts.begin(), set.counts.end()};
}

[[nodiscard]] inline std::optional<PValue> p_of_difference(const Baseline& base) {
  const std::optional<double> observed = base.observed.difference();
  if (!observed || base.repetitions.difference.empty()) return std::nullopt;
  return upper_p_value(*observed, base.repetitions.difference);
}

}  // namespace detail

/// Permutation: the experts of every prompt and layer are relabelled at random, each by a permutation of its own. What
/// is left is how concentrated signatures are. The closed form is exact.
[[nodiscard]] inline Baseline permutation_baseline(const SignatureView& set, const Labels& labels,
                                                   const BaselineOptions& options = {}) {
  for (const double x : set.values)
    if (!std::isfinite(x)) throw invalid_argument("baselines: expected finite signatures, got ", x);
  Baseline out{.observed = separation(similarity_matrix(set), labels.task, labels.group), .repetitions = {}};
  std::vector<double> means, variances;  // [prompts, layers]
  for (std::size_t row = 0; row < set.prompts * set.layers; ++row) {
    const auto one = detail::permutation_factor(set.values.subspan(row * set.experts, set.experts), set.layers);
    means.push_back(one.mean);
    variances.push_back(one.variance);
  }
  if (set.complete()) out.closed_form = closed_form(labels.units(), set.layers, means, variances);
  out.repetitions =
      detail::repeat(set, labels, Draws::permutation_baseline, options, [&](Random& random, std::span<double> values) {
        std::ranges::copy(set.values, values.begin());
        for (std::size_t row = 0; row < set.prompts * set.layers; ++row)
          random.shuffle(values.subspan(row * set.experts, set.experts));
      });
  return out;
}

/// Load balancing: every token of every layer draws `top_k` experts uniformly. What is left is text length: similarity
/// tends to 1 as texts grow, for any model, so lying above it or below it is evidence of nothing.
[[nodiscard]] inline Baseline load_balance_baseline(const CountView& set, const Labels& labels,
                                                    const BaselineOptions& options = {},
                                                    RowDraws draws = RowDraws::distinct) {
  const std::vector<double> values = detail::as_values(set);
  const SignatureView view(values, set.prompts, set.layers, set.experts);
  const UniformCounts rows(set.experts, set.top_k, draws);
  const double ratio = sampling_ratio(set.experts, set.top_k, draws);
  Baseline out{.observed = separation(similarity_matrix(view), labels.task, labels.group), .repetitions = {}};
  if (view.complete()) out.closed_form = detail::sampled_form(set, labels, std::vector(set.layers, ratio));
  out.repetitions =
      detail::repeat_rows(set, view, labels, Draws::load_balance, options,
                          [&](Random& random, std::span<const std::size_t> tokens, std::span<std::uint64_t> counts) {
                            for (std::size_t l = 0; l < tokens.size(); ++l)
                              rows.add(random, tokens[l], counts.subspan(l * set.experts, set.experts));
                          });
  return out;
}

/// Empirical marginal: every token draws distinct experts as popular as they are in all prompts together, layer by
/// layer. What is left beside text length is that some experts are chosen more than others, whatever the prompt.
[[nodiscard]] inline Baseline marginal_baseline(const CountView& set, const Labels& labels,
                                                const BaselineOptions& options = {}) {
  const std::vector<double> values = detail::as_values(set);
  const SignatureView view(values, set.prompts, set.layers, set.experts);
  std::vector<std::uint64_t> totals(set.layers * set.experts);
  for (std::size_t i = 0; i < set.counts.size(); ++i) totals[i % totals.size()] += set.counts[i];
  std::vector<double> ratios;  // [layers]
  ratios.reserve(set.layers);
  for (std::size_t l = 0; l < set.layers; ++l)
    ratios.push_back(sampling_ratio(std::span(totals).subspan(l * set.experts, set.experts), set.top_k));
  const SystematicCounts rows(totals, set.layers, set.top_k);
  Baseline out{.observed = separation(similarity_matrix(view), labels.task, labels.group), .repetitions = {}};
  if (view.complete()) out.closed_form = detail::sampled_form(set, labels, ratios);
  out.repetitions = detail::repeat_rows(set, view, labels, Draws::marginal, options,
                                        [&](Random& random, std::span<const std::size_t> tokens,
                                            std::span<std::uint64_t> counts) { rows.add(random, tokens, counts); });
  out.p_value = detail::p_of_difference(out);
  return out;
}

/// Token pool: the tokens of all prompts are redistributed at random, each prompt getting as many as it had. Popularity
/// of experts and dependence between layers stay exactly as they are; which prompt a token came from is lost.
[[nodiscard]] inline Baseline token_pool_baseline(std::span<const RoutingTrace> traces, const Labels& labels,
                                                  const BaselineOptions& options = {},
                                                  const SignatureOptions& signature_options = {}) {
  const TokenPool pool(traces, signature_options);
  Baseline out{.observed = separation(similarity_matrix(pool.observed()), labels.task, labels.group),
               .repetitions = {}};
  out.repetitions =
      detail::repeat(pool.observed(), labels, Draws::token_pool, options,
                     [&](Random& random, std::span<double> values) { pool.redistribute(random, values); });
  out.p_value = detail::p_of_difference(out);
  return out;
}

}  // namespace routesig
