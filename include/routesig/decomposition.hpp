/// \file decomposition.hpp
/// Splits D = mean within-task minus mean across-task similarity, per layer and overall, into what prompt length,
/// vocabulary and context contribute.
///
///     const auto parts = routesig::decompose(routesig::token_table(traces), {.shuffles = 200, .bootstrap = 2000});
///     if (parts.overall) use(parts.overall->context.value, parts.overall->context.band);
///
/// length: D under load balance; vocabulary: mean D under the same-token shuffle minus length; context: the rest.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "routesig/bootstrap.hpp"
#include "routesig/interrupt.hpp"
#include "routesig/parallel.hpp"
#include "routesig/quantile.hpp"
#include "routesig/token_shuffle.hpp"
#include "routesig/token_table.hpp"
#include "routesig/unit_pairs.hpp"

namespace routesig {

struct DecompositionOptions {
  std::size_t shuffles = 200;
  std::size_t bootstrap = 2000;  ///< 0: no bands
  std::uint64_t seed = 0;
  std::vector<double> length{};  ///< [layers] D under load balance; empty: its closed form
  bool groups = true;            ///< bands from resampled groups of prompts; false: prompts are independent
};

/// 2.5 % and 97.5 % quantiles over the bootstrap.
struct Band {
  double low = 0.0;
  double high = 0.0;
};

struct Part {
  double value = 0.0;
  std::optional<Band> band{};
};

struct Parts {
  Part total{};
  Part length{};
  Part vocabulary{};
  Part context{};
};

struct Decomposition {
  std::optional<Parts> overall{};  ///< mean over layers; absent without both kinds of pairs
  std::vector<Parts> layers{};
  std::string no_bands{};  ///< why there are none; "" where there are
};

/// More prompts than this give no band: it takes three matrices [prompts, prompts] a layer.
inline constexpr std::size_t kMostForBands = 1000;

namespace detail {

/// Expected cosine of prompts of T_a and T_b tokens under load balance is the product of f(T_a) and f(T_b),
/// f(T) = 1 / sqrt(1 + r / T), r = experts / top_k - 1: f for every prompt of every layer, [layers, prompts].
[[nodiscard]] inline std::vector<double> load_balance_factors(const TokenTable& table) {
  std::vector<double> known(table.layers * table.prompts());
  for (std::size_t t = 0; t < table.tokens(); ++t)
    for (std::size_t l = 0; l < table.layers; ++l)
      known[l * table.prompts() + table.prompt[t]] += table.row(t, l)[0] != kNoExpert ? 1.0 : 0.0;
  const double r = static_cast<double>(table.experts) / static_cast<double>(table.top_k) - 1.0;
  for (double& x : known) x = x > 0.0 ? 1.0 / std::sqrt(1.0 + r / x) : 0.0;
  return known;
}

/// Similarities [prompts, prompts] of one layer; the upper triangle is used.
using PairMatrix = RowMajorMatrix;

/// D of every layer under `factors` [layers, prompts]: sums over pairs of products are squares of sums.
[[nodiscard]] inline std::vector<double> load_balance_differences(const TokenTable& table,
                                                                  std::span<const double> factors) {
  const TaskPairs pairs = task_pairs(table);
  std::vector<double> out;
  for (std::size_t l = 0; l < table.layers; ++l) {
    std::vector<double> of_task(table.tasks());
    double total = 0.0, squares = 0.0, tasks = 0.0;
    for (std::size_t p = 0; p < table.prompts(); ++p) {
      const double f = factors[l * table.prompts() + p];
      of_task[static_cast<std::size_t>(table.task[p])] += f;
      total += f;
      squares += f * f;
    }
    for (const double sum : of_task) tasks += sum * sum;
    out.push_back((tasks - squares) / (2.0 * pairs.within) - (total * total - tasks) / (2.0 * pairs.across));
  }
  return out;
}

/// Adds the similarities of one layer under every source, for every pair of prompts.
inline void add_similarities(const TokenTable& table, std::size_t layer,
                             std::span<const std::vector<std::uint32_t>> sources, PairMatrix& sum) {
  const auto n = static_cast<Eigen::Index>(table.prompts()), width = static_cast<Eigen::Index>(table.experts);
  constexpr std::size_t kAtOnce = 8;  // side by side, so that the sum is passed over once for them
  for (std::size_t first = 0; first < sources.size(); first += kAtOnce) {
    interruption_point();
    const auto some = sources.subspan(first, std::min(kAtOnce, sources.size() - first));
    PairMatrix rows = PairMatrix::Zero(n, width * static_cast<Eigen::Index>(some.size()));
    for (std::size_t s = 0; s < some.size(); ++s) {
      auto block = rows.middleCols(static_cast<Eigen::Index>(s) * width, width);
      for (std::size_t t = 0; t < table.tokens(); ++t) {
        const auto experts = table.row(some[s][t], layer);
        if (experts[0] == kNoExpert) continue;
        for (const ExpertId e : experts) block(static_cast<Eigen::Index>(table.prompt[t]), e) += 1.0;
      }
      for (Eigen::Index p = 0; p < n; ++p)
        if (const double norm = block.row(p).norm(); norm > 0.0) block.row(p) /= norm;
    }
    sum.selfadjointView<Eigen::Upper>().rankUpdate(rows);
  }
}

/// The groups of the prompts [prompts], or nothing where prompts are independent.
[[nodiscard]] inline std::span<const int> groups_of(const TokenTable& table, const DecompositionOptions& options) {
  return options.groups ? std::span<const int>(table.group) : std::span<const int>();
}

[[nodiscard]] inline std::string why_no_bands(const TokenTable& table, const DecompositionOptions& options) {
  if (options.bootstrap == 0) return "no bootstrap was asked for";
  if (table.prompts() > kMostForBands) return sentence("bands are for at most ", kMostForBands, " prompts");
  const auto group = groups_of(table, options);
  std::map<int, int> task_of;
  for (std::size_t p = 0; p < group.size(); ++p)
    if (group[p] >= 0 && task_of.try_emplace(group[p], table.task[p]).first->second != table.task[p])
      return "a group has prompts of two tasks, so that whole groups cannot be resampled";
  const Units units(table.task, group);
  const std::size_t fewest = Resamples(units, {.draws = 1}).fewest();
  if (fewest >= kFewestResampled) return "";
  return sentence("a task has ", fewest, units.size() < table.prompts() ? " groups" : " prompts", ", fewer than ",
                  kFewestResampled);
}

/// total, shuffled and length D of every layer under every bootstrap that has both kinds of pairs: [draws, layers, 3].
[[nodiscard]] inline std::vector<double> bootstrap_differences(const TokenTable& table,
                                                               const DecompositionOptions& options,
                                                               const Progress& progress) {
  const auto n = static_cast<Eigen::Index>(table.prompts());
  const Units units(table.task, groups_of(table, options));
  const Resamples resamples(units, {.draws = options.bootstrap, .seed = options.seed});
  const ResampledDifferences differences(units, resamples);
  std::vector<std::vector<std::uint32_t>> sources(options.shuffles);
  for (std::size_t r = 0; r < options.shuffles; ++r) {
    interruption_point();
    sources[r] = table.shuffled(options.seed, r);
  }
  const std::vector<std::vector<std::uint32_t>> own{table.unshuffled()};
  const std::vector<double> factors = load_balance_factors(table);

  const std::size_t width = 3 * table.layers;
  std::vector<double> drawn(options.bootstrap * width);
  const auto resample = [&](std::size_t column, const PairMatrix& similarity) {
    const std::vector<double> of_draws = differences({similarity.data(), table.prompts() * table.prompts()});
    for (std::size_t b = 0; b < of_draws.size(); ++b) drawn[b * width + column] = of_draws[b];
  };
  const auto work = [&](std::size_t begin, std::size_t end) {
    for (std::size_t l = begin; l < end; ++l) {
      PairMatrix similarity = PairMatrix::Zero(n, n);
      add_similarities(table, l, own, similarity);
      resample(3 * l, similarity);
      similarity.setZero();
      add_similarities(table, l, sources, similarity);
      resample(3 * l + 1, similarity / static_cast<double>(options.shuffles));
      const Eigen::Map<const Eigen::VectorXd> f(factors.data() + l * table.prompts(), n);
      resample(3 * l + 2, f * f.transpose());
    }
  };
  parallel_for(table.layers, 1, work, progress);
  // A draw without pairs of both kinds has no difference, in any layer.
  std::vector<double> out;
  for (std::size_t b = 0; b < options.bootstrap; ++b)
    if (const auto row = std::span(drawn).subspan(b * width, width); !std::isnan(row[0]))
      out.insert(out.end(), row.begin(), row.end());
  return out;
}

/// `progress` as part of a larger whole: `before` items are done, `all` there are.
[[nodiscard]] inline Progress part_of(const Progress& progress, std::size_t before, std::size_t all) {
  if (!progress) return {};
  return [&progress, before, all](std::size_t done, std::size_t) { progress(before + done, all); };
}

/// The parts of total, shuffled and length differences.
[[nodiscard]] inline std::array<double, 4> parts_of(double total, double shuffled, double length) {
  return {total, length, shuffled - length, total - shuffled};
}

[[nodiscard]] inline Parts as_parts(const std::array<double, 4>& values) {
  return {.total = {values[0]}, .length = {values[1]}, .vocabulary = {values[2]}, .context = {values[3]}};
}

/// Sets the bands of `parts` from resampled parts.
inline void set_bands(Parts& parts, const std::vector<std::array<double, 4>>& resampled) {
  const std::array<Part*, 4> all{&parts.total, &parts.length, &parts.vocabulary, &parts.context};
  for (std::size_t i = 0; i < 4; ++i) {
    std::vector<double> values;
    values.reserve(resampled.size());
    for (const auto& one : resampled) values.push_back(one[i]);
    std::ranges::sort(values);
    all[i]->band = {.low = sorted_quantile(values, 0.025), .high = sorted_quantile(values, 0.975)};
  }
}

}  // namespace detail

/// Length, vocabulary and context of D. Bands are percentiles over the draws of bootstrap.hpp: n - 1 prompts (or whole
/// groups) of each task; the pool of routing that the shuffle draws from is held fixed, and where `length` is given its
/// band is the closed form's, moved.
[[nodiscard]] inline Decomposition decompose(const TokenTable& table, const DecompositionOptions& options = {},
                                             const Progress& progress = {}) {
  if (!options.length.empty() && options.length.size() != table.layers)
    throw invalid_argument("decomposition: expected length for ", table.layers, " layers, got ", options.length.size());
  for (const double x : options.length)
    if (!std::isfinite(x)) throw invalid_argument("decomposition: expected finite length, got ", x);
  Decomposition out{.no_bands = detail::why_no_bands(table, options)};
  const bool bands = out.no_bands.empty();
  const std::size_t all = options.shuffles + (bands ? table.layers : 0);
  const TokenShuffle shuffle =
      token_shuffle(table, {.shuffles = options.shuffles, .seed = options.seed}, detail::part_of(progress, 0, all));
  if (!shuffle.difference) return out;

  const std::vector<double> closed = detail::load_balance_differences(table, detail::load_balance_factors(table));
  const std::vector<double>& length = options.length.empty() ? closed : options.length;
  out.overall = detail::as_parts(
      detail::parts_of(shuffle.difference->observed, shuffle.difference->null.mean, detail::layer_mean(length)));
  for (std::size_t l = 0; l < table.layers; ++l)
    out.layers.push_back(
        detail::as_parts(detail::parts_of(shuffle.layers[l].observed, shuffle.layers[l].null.mean, length[l])));
  if (!bands) return out;

  const std::vector<double> drawn =
      detail::bootstrap_differences(table, options, detail::part_of(progress, options.shuffles, all));
  if (drawn.empty()) {
    out.no_bands = "no bootstrap has pairs of both kinds";
    return out;
  }
  const std::size_t draws = drawn.size() / (3 * table.layers);
  std::vector<std::array<double, 4>> resampled(draws), overall(draws);
  for (std::size_t l = 0; l < table.layers; ++l) {
    for (std::size_t b = 0; b < draws; ++b) {
      const double* const cell = drawn.data() + (b * table.layers + l) * 3;
      resampled[b] = detail::parts_of(cell[0], cell[1], cell[2] + length[l] - closed[l]);
      for (std::size_t i = 0; i < 4; ++i) overall[b][i] += resampled[b][i] / static_cast<double>(table.layers);
    }
    detail::set_bands(out.layers[l], resampled);
  }
  detail::set_bands(*out.overall, overall);
  return out;
}

}  // namespace routesig
