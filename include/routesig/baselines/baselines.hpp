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
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "routesig/baselines/expectations.hpp"
#include "routesig/baselines/expert_sampling.hpp"
#include "routesig/interrupt.hpp"
#include "routesig/parallel.hpp"
#include "routesig/random.hpp"
#include "routesig/signature.hpp"
#include "routesig/similarity.hpp"
#include "routesig/statistics/signature_separation.hpp"
#include "routesig/statistics/statistics.hpp"
#include "routesig/statistics/unit_pairs.hpp"
#include "routesig/trace.hpp"

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

[[nodiscard]] Repetitions columns(std::span<const Separation> found);

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

/// Counts as values: cosines do not depend on the scale of a layer.
[[nodiscard]] std::vector<double> as_values(const CountView& set);

}  // namespace detail

/// Permutation: the experts of every prompt and layer are relabelled at random, each by a permutation of its own. What
/// is left is how concentrated signatures are. The closed form is exact.
[[nodiscard]] Baseline permutation_baseline(const SignatureView& set, const Labels& labels,
                                            const BaselineOptions& options = {});

/// Load balancing: every token of every layer draws `top_k` experts uniformly. What is left is text length: similarity
/// tends to 1 as texts grow, for any model, so lying above it or below it is evidence of nothing.
[[nodiscard]] Baseline load_balance_baseline(const CountView& set, const Labels& labels,
                                             const BaselineOptions& options = {}, RowDraws draws = RowDraws::distinct);

/// Empirical marginal: every token draws distinct experts as popular as they are in all prompts together, layer by
/// layer. What is left beside text length is that some experts are chosen more than others, whatever the prompt.
[[nodiscard]] Baseline marginal_baseline(const CountView& set, const Labels& labels,
                                         const BaselineOptions& options = {});

/// Token pool: the tokens of all prompts are redistributed at random, each prompt getting as many as it had. Popularity
/// of experts and dependence between layers stay exactly as they are; which prompt a token came from is lost.
[[nodiscard]] Baseline token_pool_baseline(std::span<const RoutingTrace> traces, const Labels& labels,
                                           const BaselineOptions& options = {},
                                           const SignatureOptions& signature_options = {});

}  // namespace routesig
