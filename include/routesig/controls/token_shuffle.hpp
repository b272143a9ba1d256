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

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "routesig/controls/token_table.hpp"
#include "routesig/interrupt.hpp"
#include "routesig/parallel.hpp"
#include "routesig/statistics/statistics.hpp"

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

[[nodiscard]] ShuffleTest shuffle_test(double observed, std::vector<double> draws);

namespace detail {

/// The task and the unit of every row of a table of counts; rows of one task lie together, and so do those of a unit.
struct RowLabels {
  std::vector<int> task{};  // [rows]
  std::vector<int> unit{};  // [rows]
};

[[nodiscard]] RowLabels row_labels(const TokenTable& table);

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
[[nodiscard]] double layer_mean(std::span<const double> values);

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

void check_shuffles(const ShuffleOptions& options);

}  // namespace detail

/// Shuffles whole layers x top_k blocks of routing within strata and recomputes D = mean within-task minus mean
/// across-task similarity, per layer and overall. Overall is the mean over layers: where prompts lack layers, that
/// weighs layers alike and not pairs of prompts.
[[nodiscard]] TokenShuffle token_shuffle(const TokenTable& table, const ShuffleOptions& options = {},
                                         const Progress& progress = {});

}  // namespace routesig
