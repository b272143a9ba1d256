/// \file token_shuffle.hpp
/// The same-token shuffle null: how much of the separation is left when every token keeps its word and takes the
/// routing that this word had somewhere else?
///
///     const auto result = routesig::token_shuffle(routesig::token_table(traces), {.shuffles = 200, .seed = 0});
///     if (result.difference) use(result.difference->p.value, *result.difference->share);   // p, lexical share
///
/// Null hypothesis: given its stratum (token id, prompt or generated, first position or not) a token's routing is
/// exchangeable across prompts. Words that occur in one prompt only stay put, which makes the test conservative.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "routesig/parallel.hpp"
#include "routesig/statistics.hpp"
#include "routesig/token_table.hpp"

namespace routesig {

struct ShuffleOptions {
  std::size_t shuffles = 200;
  std::uint64_t seed = 0;
};

/// One statistic, as observed and under the shuffle.
struct ShuffleTest {
  double observed = 0.0;
  Spread null{};
  PValue p{};                     ///< one-sided: the shuffle reaches the observed value
  std::optional<double> share{};  ///< mean under the shuffle / observed; absent unless observed > 0
};

struct TokenShuffle {
  std::optional<ShuffleTest> difference{};  ///< D = mean within - mean across; absent without both kinds of pairs
  std::vector<ShuffleTest> layers{};        ///< [layers] the same, p not adjusted for their number; or empty
  std::vector<double> draws{};              ///< [shuffles]
  std::vector<double> layer_draws{};        ///< [shuffles, layers]
};

[[nodiscard]] inline ShuffleTest shuffle_test(double observed, std::vector<double> draws) {
  ShuffleTest out{.observed = observed, .p = upper_p_value(observed, draws)};
  out.null = spread(std::move(draws));
  if (observed > 0.0) out.share = out.null.mean / observed;
  return out;
}

/// Pairs of prompts: of one task, of two tasks.
struct TaskPairs {
  double within = 0.0;
  double across = 0.0;
};

[[nodiscard]] inline TaskPairs task_pairs(const TokenTable& table) {
  std::vector<double> sizes(table.tasks());
  for (const int task : table.task) sizes[static_cast<std::size_t>(task)] += 1.0;
  const auto n = static_cast<double>(table.prompts());
  TaskPairs out;
  for (const double size : sizes) out.within += size * (size - 1.0) / 2.0;
  out.across = n * (n - 1.0) / 2.0 - out.within;
  return out;
}

/// D of every layer, from counts [prompts, layers, experts]. Sums over pairs of inner products are squares of sums, so
/// that this costs prompts x layers x experts and no similarity matrix.
template <typename Count>
[[nodiscard]] std::vector<double> layer_differences(const TokenTable& table, std::span<const Count> counts) {
  const TaskPairs pairs = task_pairs(table);
  const std::size_t width = table.experts;
  std::vector<double> out(table.layers), of_task(width), of_all(width);
  const auto squares = [](std::span<const double> x) {
    double sum = 0.0;
    for (const double value : x) sum += value * value;
    return sum;
  };
  for (std::size_t l = 0; l < table.layers; ++l) {
    double tasks = 0.0, self = 0.0;  // sums over ordered pairs of one task; over pairs of a prompt with itself
    std::ranges::fill(of_all, 0.0);
    for (std::size_t p = 0; p < table.prompts(); ++p) {
      if (p == 0 || table.task[p] != table.task[p - 1]) {
        tasks += p == 0 ? 0.0 : squares(of_task);
        std::ranges::fill(of_task, 0.0);
      }
      const auto row = counts.subspan((p * table.layers + l) * width, width);
      double norm = 0.0;
      for (const Count x : row) norm += static_cast<double>(x) * static_cast<double>(x);
      if (norm == 0.0) continue;  // similarity 0 with everything
      self += 1.0;
      const double scale = 1.0 / std::sqrt(norm);
      for (std::size_t e = 0; e < width; ++e) {
        const double x = static_cast<double>(row[e]) * scale;
        of_task[e] += x;
        of_all[e] += x;
      }
    }
    tasks += squares(of_task);
    out[l] = (tasks - self) / (2.0 * pairs.within) - (squares(of_all) - tasks) / (2.0 * pairs.across);
  }
  return out;
}

namespace detail {

[[nodiscard]] inline double layer_mean(std::span<const double> values) {
  double sum = 0.0;
  for (const double x : values) sum += x;
  return sum / static_cast<double>(values.size());
}

/// Column `index` of draws [repetitions, width].
[[nodiscard]] inline std::vector<double> column(std::span<const double> draws, std::size_t width, std::size_t index) {
  std::vector<double> out;
  out.reserve(draws.size() / width);
  for (std::size_t i = index; i < draws.size(); i += width) out.push_back(draws[i]);
  return out;
}

inline void check_shuffles(const ShuffleOptions& options) {
  if (options.shuffles < 1) throw invalid_argument("token_shuffle: expected 1 shuffle or more, got 0");
}

}  // namespace detail

/// Shuffles whole layers x top_k blocks of routing within strata and recomputes D = mean within-task minus mean
/// across-task similarity, overall (mean over layers) and per layer.
[[nodiscard]] inline TokenShuffle token_shuffle(const TokenTable& table, const ShuffleOptions& options = {},
                                                const Progress& progress = {}) {
  detail::check_shuffles(options);
  TokenShuffle out;
  const TaskPairs pairs = task_pairs(table);
  if (pairs.within == 0.0 || pairs.across == 0.0) return out;

  const auto differences = [&](std::span<const std::uint32_t> source) {
    const std::vector<std::uint32_t> counts = table.counts(source);
    return layer_differences(table, std::span<const std::uint32_t>(counts));
  };
  out.draws.resize(options.shuffles);
  out.layer_draws.resize(options.shuffles * table.layers);
  parallel_for(
      options.shuffles, 1,
      [&](std::size_t begin, std::size_t end) {
        for (std::size_t r = begin; r < end; ++r) {
          const std::vector<double> layers = differences(table.shuffled(options.seed, r));
          std::ranges::copy(layers, out.layer_draws.begin() + static_cast<std::ptrdiff_t>(r * table.layers));
          out.draws[r] = detail::layer_mean(layers);
        }
      },
      progress);

  const std::vector<double> observed = differences(table.unshuffled());
  out.difference = shuffle_test(detail::layer_mean(observed), out.draws);
  for (std::size_t l = 0; l < table.layers; ++l)
    out.layers.push_back(shuffle_test(observed[l], detail::column(out.layer_draws, table.layers, l)));
  return out;
}

}  // namespace routesig
