/// \file token_shuffle.hpp
/// The same-token shuffle null: how much of the separation is left when every token keeps its word and takes the
/// routing that this word had somewhere else?
///
///     const auto result = routesig::token_shuffle(routesig::token_table(traces), {.shuffles = 200, .seed = 0});
///     if (result.difference) use(result.difference->p.value, *result.difference->share);   // p, lexical share
///
/// Null hypothesis: given its stratum (token id, prompt or generated, first position or not) a token's routing is
/// exchangeable across prompts. Words that occur in one prompt only stay put, which makes the test conservative. That
/// says nothing about tasks: residual_similarity.hpp gives what a test of tasks needs.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "routesig/interrupt.hpp"
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
  std::optional<ShuffleTest> difference{};  ///< D, mean over layers; absent without both kinds of pairs
  std::vector<std::optional<ShuffleTest>>
      layers{};                       ///< [layers] D of a layer, p not adjusted for their number; or empty
  std::vector<double> draws{};        ///< [shuffles]
  std::vector<double> layer_draws{};  ///< [shuffles, layers]; NaN in a layer without D
};

[[nodiscard]] inline ShuffleTest shuffle_test(double observed, std::vector<double> draws) {
  ShuffleTest out{.observed = observed, .p = upper_p_value(observed, draws)};
  out.null = spread(std::move(draws));
  if (observed > 0.0) out.share = out.null.mean / observed;
  return out;
}

namespace detail {

/// The task and the unit of every row of a table of counts; rows of one task lie together, and so do those of a unit.
struct RowLabels {
  std::vector<int> task{};  // [rows]
  std::vector<int> unit{};  // [rows]
};

[[nodiscard]] inline RowLabels row_labels(const TokenTable& table) {
  const Units units = table.units();
  RowLabels out{.task = table.task};
  for (std::size_t p = 0; p < table.prompts(); ++p) out.unit.push_back(units.of(p));
  return out;
}

/// Squares of sums over the rows of one block after another: of a unit, of a task.
class BlockSquares {
 public:
  explicit BlockSquares(std::size_t width) : sum_(width) {}

  void add(std::span<const double> row) {
    for (std::size_t i = 0; i < sum_.size(); ++i) sum_[i] += row[i];
    rows_ += 1.0;
  }
  void close() {
    for (double& x : sum_) {
      squares_ += x * x;
      x = 0.0;
    }
    pairs_ += rows_ * rows_;
    rows_ = 0.0;
  }
  [[nodiscard]] double squares() const noexcept { return squares_; }  // of sums, over ordered pairs
  [[nodiscard]] double pairs() const noexcept { return pairs_; }      // ordered, a row with itself too

 private:
  std::vector<double> sum_;
  double squares_ = 0.0, pairs_ = 0.0, rows_ = 0.0;
};

/// Mean over pairs of one task and two units, less that over pairs of two tasks, of products of rows: squares of sums,
/// so that no pair is visited. fill(row, out) writes a row of `width`, or says that there is none. NaN without both
/// kinds.
template <typename Fill>
[[nodiscard]] double mean_product_difference(const RowLabels& labels, std::size_t width, const Fill& fill) {
  BlockSquares units(width), tasks(width), all(width);
  std::vector<double> row(width);
  for (std::size_t i = 0; i < labels.task.size(); ++i) {
    if (i > 0 && labels.unit[i] != labels.unit[i - 1]) units.close();
    if (i > 0 && labels.task[i] != labels.task[i - 1]) tasks.close();
    if (!fill(i, std::span(row))) continue;
    units.add(row);
    tasks.add(row);
    all.add(row);
  }
  units.close();
  tasks.close();
  all.close();
  const double within = tasks.pairs() - units.pairs(), across = all.pairs() - tasks.pairs();
  if (!(within > 0.0 && across > 0.0)) return std::numeric_limits<double>::quiet_NaN();
  return (tasks.squares() - units.squares()) / within - (all.squares() - tasks.squares()) / across;
}

/// Mean of those values that are not NaN; NaN where all are.
[[nodiscard]] inline double layer_mean(std::span<const double> values) {
  double sum = 0.0, count = 0.0;
  for (const double x : values) {
    if (std::isnan(x)) continue;
    sum += x;
    count += 1.0;
  }
  return sum / count;
}

}  // namespace detail

/// D of every layer, from counts [rows, layers, experts]; prompts without a token in a layer are left out of it. NaN in
/// a layer without both kinds of pairs.
template <typename Count>
[[nodiscard]] std::vector<double> layer_differences(const detail::RowLabels& labels, std::span<const Count> counts,
                                                    std::size_t layers, std::size_t experts) {
  std::vector<double> out;
  out.reserve(layers);
  for (std::size_t l = 0; l < layers; ++l) {
    interruption_point();
    out.push_back(detail::mean_product_difference(labels, experts, [&](std::size_t p, std::span<double> row) {
      const auto cells = counts.subspan((p * layers + l) * experts, experts);
      double norm = 0.0;
      for (const Count x : cells) norm += static_cast<double>(x) * static_cast<double>(x);
      const double scale = 1.0 / std::sqrt(norm);
      for (std::size_t e = 0; e < experts; ++e) row[e] = static_cast<double>(cells[e]) * scale;
      return norm > 0.0;
    }));
  }
  return out;
}

namespace detail {

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
/// across-task similarity, per layer and overall. Overall is the mean over layers: where prompts lack layers, that
/// weighs layers alike and not pairs of prompts.
[[nodiscard]] inline TokenShuffle token_shuffle(const TokenTable& table, const ShuffleOptions& options = {},
                                                const Progress& progress = {}) {
  detail::check_shuffles(options);
  TokenShuffle out;
  const detail::RowLabels labels = detail::row_labels(table);
  const auto differences = [&](std::span<const std::uint32_t> source) {
    const std::vector<std::uint32_t> counts = table.counts(source);
    return layer_differences(labels, std::span<const std::uint32_t>(counts), table.layers, table.experts);
  };
  const std::vector<double> observed = differences(table.unshuffled());
  if (table.units().short_task() || std::ranges::all_of(observed, [](double x) { return std::isnan(x); })) return out;

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

  out.difference = shuffle_test(detail::layer_mean(observed), out.draws);
  for (std::size_t l = 0; l < table.layers; ++l) {
    auto& layer = out.layers.emplace_back();
    if (!std::isnan(observed[l])) layer = shuffle_test(observed[l], detail::column(out.layer_draws, table.layers, l));
  }
  return out;
}

}  // namespace routesig
