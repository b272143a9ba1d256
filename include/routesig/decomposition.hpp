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
#include <tuple>
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

/// Differences within - across under weights of prompts: a pair counts w_i w_j, a prompt with itself never. For many
/// weights at once: [draws, prompts].
class TablePairs {
 public:
  TablePairs(const TokenTable& table, PairMatrix weights) : weights_(std::move(weights)) {
    for (std::size_t i = 0; i < table.prompts(); ++i)
      if (i == 0 || table.task[i] != table.task[i - 1]) begins_.push_back(static_cast<Eigen::Index>(i));
    begins_.push_back(static_cast<Eigen::Index>(table.prompts()));
    const Eigen::VectorXd once = Eigen::VectorXd::Ones(weights_.cols());
    std::tie(within_, across_) = sums_of_products(once);
  }

  [[nodiscard]] const PairMatrix& weights() const noexcept { return weights_; }
  /// Of every draw, for similarities.
  [[nodiscard]] Eigen::VectorXd differences(const PairMatrix& similarity) const {
    Eigen::VectorXd within = Eigen::VectorXd::Zero(weights_.rows()), across = within;
    for (std::size_t task = 0; task + 1 < begins_.size(); ++task) {
      const Eigen::Index begin = begins_[task], size = begins_[task + 1] - begin;
      const auto of_task = weights_.middleCols(begin, size);
      // Below the diagonal: prompts of earlier tasks, and earlier ones of this task.
      const PairMatrix other = of_task * similarity.block(begin, 0, size, begin);
      across += other.cwiseProduct(weights_.leftCols(begin)).rowwise().sum();
      const PairMatrix lower =
          similarity.block(begin, begin, size, size).template triangularView<Eigen::StrictlyLower>();
      within += (of_task * lower).cwiseProduct(of_task).rowwise().sum();
    }
    return within.cwiseQuotient(within_) - across.cwiseQuotient(across_);
  }

  /// The same where similarities are products of factors [prompts].
  [[nodiscard]] Eigen::VectorXd differences(const Eigen::VectorXd& factors) const {
    const auto [within, across] = sums_of_products(factors);
    return within.cwiseQuotient(within_) - across.cwiseQuotient(across_);
  }

 private:
  /// Over pairs within and across tasks, of w_i f_i w_j f_j.
  [[nodiscard]] std::pair<Eigen::VectorXd, Eigen::VectorXd> sums_of_products(const Eigen::VectorXd& factors) const {
    const PairMatrix products = weights_ * factors.asDiagonal();
    Eigen::VectorXd within = Eigen::VectorXd::Zero(products.rows());
    for (std::size_t task = 0; task + 1 < begins_.size(); ++task)
      within += products.middleCols(begins_[task], begins_[task + 1] - begins_[task]).rowwise().sum().cwiseAbs2();
    const Eigen::VectorXd all = products.rowwise().sum().cwiseAbs2(), own = products.rowwise().squaredNorm();
    return {(within - own) / 2.0, (all - within) / 2.0};
  }

  PairMatrix weights_;                // [draws, prompts]
  std::vector<Eigen::Index> begins_;  // [tasks + 1]: first prompt
  Eigen::VectorXd within_, across_;   // [draws]: pairs
};

/// Whether some task has two prompts drawn; two tasks always have one.
[[nodiscard]] inline bool some_pair_within(const TokenTable& table, std::span<const double> weights) {
  std::vector<int> drawn(table.tasks());
  for (std::size_t i = 0; i < weights.size(); ++i)
    drawn[static_cast<std::size_t>(table.task[i])] += weights[i] > 0.0 ? 1 : 0;
  return std::ranges::any_of(drawn, [](int prompts) { return prompts > 1; });
}

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
  } while (!some_pair_within(table, weights));
  return weights;
}

/// Adds the similarities of one layer under every source, for every pair of prompts.
inline void add_similarities(const TokenTable& table, std::size_t layer,
                             std::span<const std::vector<std::uint32_t>> sources, PairMatrix& sum) {
  const auto n = static_cast<Eigen::Index>(table.prompts()), width = static_cast<Eigen::Index>(table.experts);
  constexpr std::size_t kAtOnce = 8;  // side by side, so that the sum is passed over once for them
  for (std::size_t first = 0; first < sources.size(); first += kAtOnce) {
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
    sum.selfadjointView<Eigen::Lower>().rankUpdate(rows);
  }
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
                                                               const Progress& progress) {
  const auto n = static_cast<Eigen::Index>(table.prompts());
  PairMatrix weights(static_cast<Eigen::Index>(options.bootstrap), n);
  for (std::size_t b = 0; b < options.bootstrap; ++b) {
    const std::vector<double> drawn = bootstrap_weights(table, options.seed, b);
    std::ranges::copy(drawn, weights.row(static_cast<Eigen::Index>(b)).data());
  }
  const TablePairs pairs(table, std::move(weights));
  std::vector<std::vector<std::uint32_t>> sources(options.shuffles);
  for (std::size_t r = 0; r < options.shuffles; ++r) sources[r] = table.shuffled(options.seed, r);
  const std::vector<std::vector<std::uint32_t>> own{table.unshuffled()};
  const std::vector<double> factors = load_balance_factors(table);
  std::vector<double> out(options.bootstrap * table.layers * 3);
  parallel_for(
      table.layers, 1,
      [&](std::size_t begin, std::size_t end) {
        for (std::size_t l = begin; l < end; ++l) {
          PairMatrix similarity = PairMatrix::Zero(n, n);
          add_similarities(table, l, own, similarity);
          const Eigen::VectorXd total = pairs.differences(similarity);
          similarity.setZero();
          add_similarities(table, l, sources, similarity);
          similarity /= static_cast<double>(options.shuffles);
          const Eigen::VectorXd shuffled = pairs.differences(similarity);
          const Eigen::Map<const Eigen::VectorXd> f(factors.data() + l * table.prompts(), n);
          const Eigen::VectorXd length = pairs.differences(Eigen::VectorXd(f));
          for (std::size_t b = 0; b < options.bootstrap; ++b) {
            const auto i = static_cast<Eigen::Index>(b);
            std::ranges::copy(std::array{total[i], shuffled[i], length[i]},
                              out.begin() + static_cast<std::ptrdiff_t>((b * table.layers + l) * 3));
          }
        }
      },
      progress);
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
  const auto n = static_cast<Eigen::Index>(table.prompts());
  const TablePairs pairs(table, PairMatrix::Ones(1, n));
  std::vector<double> out;
  for (std::size_t l = 0; l < table.layers; ++l) {
    const Eigen::Map<const Eigen::VectorXd> f(factors.data() + l * table.prompts(), n);
    out.push_back(pairs.differences(Eigen::VectorXd(f))[0]);
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
  const std::size_t all = options.shuffles + (bands ? table.layers : 0);
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
      detail::bootstrap_differences(table, options, detail::part_of(progress, options.shuffles, all));
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
