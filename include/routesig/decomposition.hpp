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
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "routesig/parallel.hpp"
#include "routesig/token_shuffle.hpp"
#include "routesig/token_table.hpp"

namespace routesig {

struct DecompositionOptions {
  std::size_t shuffles = 200;
  std::size_t bootstrap = 2000;  ///< 0: no bands
  std::uint64_t seed = 0;
  std::vector<double> length{};  ///< [layers] D under load balance; empty: its closed form
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

/// Fewer prompts of a task than this give no band.
inline constexpr std::size_t kLeastForBands = 5;
/// More prompts than this give no band: it takes two matrices [prompts, prompts] a layer.
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

/// Similarities [prompts, prompts] of one layer; the lower triangle is used, prompts ordered by task.
using PairMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Differences within - across under weights of prompts: a pair counts w_i w_j, a prompt with itself never.
class TablePairs {
 public:
  TablePairs(const TokenTable& table, std::span<const double> weights) : weights_(weights) {
    std::size_t begin = 0;
    double total = 0.0, squares = 0.0, of_task = 0.0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      if (i > 0 && table.task[i] != table.task[i - 1]) {
        begin = i;
        within_ += of_task * of_task / 2.0;
        of_task = 0.0;
      }
      begin_.push_back(static_cast<Eigen::Index>(begin));
      of_task += weights[i];
      total += weights[i];
      squares += weights[i] * weights[i];
    }
    within_ += (of_task * of_task - squares) / 2.0;
    across_ = (total * total - squares) / 2.0 - within_;
  }

  [[nodiscard]] bool has_both() const noexcept { return within_ > 0.25 && across_ > 0.25; }  // weights are integers

  [[nodiscard]] double difference(const PairMatrix& similarity) const {
    const Eigen::Map<const Eigen::RowVectorXd> w(weights_.data(), static_cast<Eigen::Index>(weights_.size()));
    double within = 0.0, across = 0.0;
    for (Eigen::Index i = 0; i < w.size(); ++i) {
      if (w[i] == 0.0) continue;
      const Eigen::Index begin = begin_[static_cast<std::size_t>(i)];
      within += w[i] * similarity.row(i).segment(begin, i - begin).dot(w.segment(begin, i - begin));
      across += w[i] * similarity.row(i).head(begin).dot(w.head(begin));
    }
    return within / within_ - across / across_;
  }

 private:
  std::span<const double> weights_;
  std::vector<Eigen::Index> begin_;  // first prompt of each prompt's task
  double within_ = 0.0;
  double across_ = 0.0;
};

/// How often each prompt is drawn: n - 1 draws from the n prompts of each task, until some task has two prompts drawn.
[[nodiscard]] inline std::vector<double> bootstrap_weights(const TokenTable& table, std::uint64_t seed,
                                                           std::uint64_t repetition) {
  Random random(seed, stream(Draws::bootstrap, repetition));
  std::vector<double> weights(table.prompts());
  do {
    std::ranges::fill(weights, 0.0);
    for (std::size_t begin = 0, end = 0; begin < weights.size(); begin = end) {
      while (end < weights.size() && table.task[end] == table.task[begin]) ++end;
      const auto n = static_cast<std::uint32_t>(end - begin);
      for (std::uint32_t draw = 1; draw < n; ++draw) weights[begin + random.below(n)] += 1.0;
    }
  } while (!TablePairs(table, weights).has_both());
  return weights;
}

/// Adds the similarities of every pair under `counts` to one matrix a layer.
inline void add_similarities(const TokenTable& table, std::span<const std::uint32_t> counts,
                             std::vector<PairMatrix>& sums) {
  parallel_for(table.layers, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t l = begin; l < end; ++l) {
      PairMatrix rows(static_cast<Eigen::Index>(table.prompts()), static_cast<Eigen::Index>(table.experts));
      for (std::size_t p = 0; p < table.prompts(); ++p) {
        const auto row = static_cast<Eigen::Index>(p);
        const std::uint32_t* const cell = counts.data() + (p * table.layers + l) * table.experts;
        for (std::size_t e = 0; e < table.experts; ++e) rows(row, static_cast<Eigen::Index>(e)) = cell[e];
        if (const double norm = rows.row(row).norm(); norm > 0.0) rows.row(row) /= norm;
      }
      sums[l].selfadjointView<Eigen::Lower>().rankUpdate(rows);
    }
  });
}

[[nodiscard]] inline std::vector<PairMatrix> zero_matrices(const TokenTable& table) {
  const auto n = static_cast<Eigen::Index>(table.prompts());
  return std::vector<PairMatrix>(table.layers, PairMatrix::Zero(n, n));
}

[[nodiscard]] inline std::string why_no_bands(const TokenTable& table, std::size_t bootstrap) {
  if (bootstrap == 0) return "no bootstrap was asked for";
  if (table.prompts() > kMostForBands) return sentence("bands are for at most ", kMostForBands, " prompts");
  std::vector<std::size_t> sizes(table.tasks());
  for (const int task : table.task) ++sizes[static_cast<std::size_t>(task)];
  for (const std::size_t size : sizes)
    if (size < kLeastForBands) return sentence("a task has ", size, " prompts, fewer than ", kLeastForBands);
  return "";
}

[[nodiscard]] inline Band band(std::vector<double> values) {
  const Spread s = spread(std::move(values));
  return {.low = s.low, .high = s.high};
}

/// total, shuffled and length D of every layer under every bootstrap: [bootstrap, layers, 3].
[[nodiscard]] inline std::vector<double> bootstrap_differences(const TokenTable& table,
                                                               const DecompositionOptions& options,
                                                               const Progress& shuffled, const Progress& resampled) {
  std::vector<PairMatrix> observed = zero_matrices(table), mean = zero_matrices(table), balanced = zero_matrices(table);
  add_similarities(table, table.counts(table.unshuffled()), observed);
  for (std::size_t r = 0; r < options.shuffles; ++r) {
    add_similarities(table, table.counts(table.shuffled(options.seed, r)), mean);
    if (shuffled) shuffled(r + 1, options.shuffles);
  }
  const std::vector<double> factors = load_balance_factors(table);
  for (std::size_t l = 0; l < table.layers; ++l) {
    mean[l] /= static_cast<double>(options.shuffles);
    const Eigen::Map<const Eigen::VectorXd> f(factors.data() + l * table.prompts(),
                                              static_cast<Eigen::Index>(table.prompts()));
    balanced[l] = f * f.transpose();
  }
  std::vector<double> out(options.bootstrap * table.layers * 3);
  parallel_for(
      options.bootstrap, 8,
      [&](std::size_t begin, std::size_t end) {
        for (std::size_t b = begin; b < end; ++b) {
          const std::vector<double> weights = bootstrap_weights(table, options.seed, b);
          const TablePairs pairs(table, weights);
          for (std::size_t l = 0; l < table.layers; ++l) {
            double* const cell = out.data() + (b * table.layers + l) * 3;
            cell[0] = pairs.difference(observed[l]);
            cell[1] = pairs.difference(mean[l]);
            cell[2] = pairs.difference(balanced[l]);
          }
        }
      },
      resampled);
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
    all[i]->band = band(std::move(values));
  }
}

/// D under the closed form of load balance, every layer.
[[nodiscard]] inline std::vector<double> load_balance_differences(const TokenTable& table) {
  const std::vector<double> factors = load_balance_factors(table);
  const std::vector<double> once(table.prompts(), 1.0);
  const TablePairs pairs(table, once);
  std::vector<double> out;
  for (std::size_t l = 0; l < table.layers; ++l) {
    const Eigen::Map<const Eigen::VectorXd> f(factors.data() + l * table.prompts(),
                                              static_cast<Eigen::Index>(table.prompts()));
    out.push_back(pairs.difference(f * f.transpose()));
  }
  return out;
}

}  // namespace detail

/// Length, vocabulary and context of D. Bands are percentiles over a bootstrap of prompts, n - 1 draws in each task;
/// the pool of routing that the shuffle draws from is held fixed, and where `length` is given its band is the closed
/// form's, moved.
[[nodiscard]] inline Decomposition decompose(const TokenTable& table, const DecompositionOptions& options = {},
                                             const Progress& progress = {}) {
  if (!options.length.empty() && options.length.size() != table.layers)
    throw invalid_argument("decomposition: expected length for ", table.layers, " layers, got ", options.length.size());
  for (const double x : options.length)
    if (!std::isfinite(x)) throw invalid_argument("decomposition: expected finite length, got ", x);
  Decomposition out{.no_bands = detail::why_no_bands(table, options.bootstrap)};
  const bool bands = out.no_bands.empty();
  const std::size_t all = bands ? 2 * options.shuffles + options.bootstrap : options.shuffles;
  const TokenShuffle shuffle =
      token_shuffle(table, {.shuffles = options.shuffles, .seed = options.seed}, detail::part_of(progress, 0, all));
  if (!shuffle.difference) return out;

  const std::vector<double> closed = detail::load_balance_differences(table);
  const std::vector<double>& length = options.length.empty() ? closed : options.length;
  out.overall = detail::as_parts(
      detail::parts_of(shuffle.difference->observed, shuffle.difference->null.mean, detail::layer_mean(length)));
  for (std::size_t l = 0; l < table.layers; ++l)
    out.layers.push_back(
        detail::as_parts(detail::parts_of(shuffle.layers[l].observed, shuffle.layers[l].null.mean, length[l])));
  if (!bands) return out;

  const std::vector<double> drawn =
      detail::bootstrap_differences(table, options, detail::part_of(progress, options.shuffles, all),
                                    detail::part_of(progress, 2 * options.shuffles, all));
  std::vector<std::array<double, 4>> resampled(options.bootstrap), overall(options.bootstrap);
  for (std::size_t l = 0; l < table.layers; ++l) {
    for (std::size_t b = 0; b < options.bootstrap; ++b) {
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
