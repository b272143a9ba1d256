#include "routesig/baselines/baselines.hpp"

#include <cmath>

#include "routesig/baselines/count_sampling.hpp"
#include "routesig/baselines/token_pool.hpp"
#include "routesig/error.hpp"

namespace routesig {
namespace detail {
namespace {

/// One entry per repetition, or nothing where one of them has no value.
template <typename Value>
[[nodiscard]] std::vector<double> column(std::span<const Separation> found, const Value& value) {
  std::vector<double> out;
  for (const Separation& one : found)
    if (const std::optional<double> x = value(one)) out.push_back(*x);
  if (out.size() != found.size()) out.clear();
  return out;
}

[[nodiscard]] std::optional<double> mean(std::span<const double> values) {
  if (values.empty()) return std::nullopt;
  double sum = 0.0;
  for (const double x : values) sum += x;
  return sum / static_cast<double>(values.size());
}

}  // namespace

Repetitions columns(std::span<const Separation> found) {
  return {.within = column(found, [](const Separation& s) { return s.within.mean; }),
          .across = column(found, [](const Separation& s) { return s.across.mean; }),
          .difference = column(found, [](const Separation& s) { return s.difference(); }),
          .cohens_d = column(found, [](const Separation& s) { return s.cohens_d; }),
          .within_pair_sd = mean(column(found, [](const Separation& s) { return s.within.sd; })),
          .across_pair_sd = mean(column(found, [](const Separation& s) { return s.across.sd; }))};
}

namespace {

/// The expected similarity of every pair of prompts, from the sampling ratio of every layer.
[[nodiscard]] ClosedForm sampled_form(const CountView& set, const Labels& labels, std::span<const double> ratios) {
  std::vector<double> factors;  // [prompts, layers]: 1 / sqrt(1 + r / T), two of which make the similarity of a pair
  for (std::size_t p = 0; p < set.prompts; ++p)
    for (std::size_t l = 0; l < set.layers; ++l) {
      const auto tokens = static_cast<double>(set.tokens(p, l));
      factors.push_back(std::sqrt(sampled_similarity(tokens, tokens, ratios[l])));
    }
  for (double& x : factors) x /= std::sqrt(static_cast<double>(set.layers));
  return closed_form(labels.units(), set.layers, factors);
}

}  // namespace

std::vector<double> as_values(const CountView& set) { return {set.counts.begin(), set.counts.end()}; }

namespace {

[[nodiscard]] std::optional<PValue> p_of_difference(const Baseline& base) {
  const std::optional<double> observed = base.observed.difference();
  if (!observed || base.repetitions.difference.empty()) return std::nullopt;
  return upper_p_value(*observed, base.repetitions.difference);
}

}  // namespace
}  // namespace detail

Baseline permutation_baseline(const SignatureView& set, const Labels& labels, const BaselineOptions& options) {
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

Baseline load_balance_baseline(const CountView& set, const Labels& labels, const BaselineOptions& options,
                               RowDraws draws) {
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

Baseline marginal_baseline(const CountView& set, const Labels& labels, const BaselineOptions& options) {
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

Baseline token_pool_baseline(std::span<const RoutingTrace> traces, const Labels& labels, const BaselineOptions& options,
                             const SignatureOptions& signature_options) {
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
