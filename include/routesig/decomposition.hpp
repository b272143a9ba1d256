/// \file decomposition.hpp
/// Splits D = mean within-task minus mean across-task similarity, per layer and overall, into what prompt length,
/// vocabulary and context contribute.
///
///     const auto parts = routesig::decompose(routesig::token_table(traces), {.shuffles = 200, .bootstrap = 2000});
///     if (parts.overall) use(parts.overall->context.value, parts.overall->context.band);
///
/// length: D under load balance; vocabulary: mean D under the same-token shuffle minus length; context: the rest.
/// Tokens whose word occurs in one task only keep their task's routing under the shuffle, so that vocabulary is the
/// most that words can account for; where few tokens can cross tasks the split means nothing (TokenTable::crossing).
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
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
};

/// A 95 % interval over the bootstrap.
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
  std::vector<std::optional<Parts>> layers{};
  std::string no_bands{};  ///< why there are none; "" where there are
};

namespace detail {

/// Tokens with known routing of every prompt and layer: [prompts, layers].
[[nodiscard]] inline std::vector<double> known_tokens_of(const TokenTable& table) {
  std::vector<double> out(table.prompts() * table.layers);
  for (std::size_t t = 0; t < table.tokens(); ++t)
    for (std::size_t l = 0; l < table.layers; ++l)
      out[table.prompt[t] * table.layers + l] += table.row(t, l)[0] != kNoExpert ? 1.0 : 0.0;
  return out;
}

/// The expected cosine of prompts of T_a and T_b tokens under load balance is the product of f(T_a) and f(T_b),
/// f(T) = 1 / sqrt(1 + r / T), r = experts / top_k - 1: f of every prompt and layer, [prompts, layers], 0 without
/// tokens.
[[nodiscard]] inline std::vector<double> load_balance_factors(const TokenTable& table) {
  std::vector<double> known = known_tokens_of(table);
  const double r = static_cast<double>(table.experts) / static_cast<double>(table.top_k) - 1.0;
  for (double& x : known) x = x > 0.0 ? 1.0 / std::sqrt(1.0 + r / x) : 0.0;
  return known;
}

/// D of every layer where similarities are products of `factors` [rows, layers].
[[nodiscard]] inline std::vector<double> factor_differences(const RowLabels& labels, std::span<const double> factors,
                                                            std::size_t layers) {
  std::vector<double> out;
  out.reserve(layers);
  for (std::size_t l = 0; l < layers; ++l)
    out.push_back(mean_product_difference(labels, 1, [&](std::size_t row, std::span<double> to) {
      to[0] = factors[row * layers + l];
      return to[0] > 0.0;
    }));
  return out;
}

[[nodiscard]] inline std::string why_no_bands(const TokenTable& table, const DecompositionOptions& options) {
  if (options.bootstrap == 0) return "no bootstrap was asked for";
  const Units units = table.units();
  const std::size_t fewest = units.fewest();
  if (fewest >= kFewestResampled) return "";
  return sentence("a task has ", fewest, units.size() < table.prompts() ? " groups" : " prompts", ", fewer than ",
                  kFewestResampled);
}

/// The prompts of a table, some of them several times and some not at all, as a bootstrap draws them.
class ResampledTable {
 public:
  /// `times` [prompts]: how often each prompt comes.
  ResampledTable(const TokenTable& table, const RowLabels& labels, std::span<const std::size_t> begins,
                 std::span<const std::size_t> times)
      : table_(table), begins_(begins), first_row_(table.prompts()), times_(times.begin(), times.end()) {
    for (std::size_t p = 0; p < table.prompts(); ++p) {
      first_row_[p] = prompt_.size();
      for (std::size_t copy = 0; copy < times[p]; ++copy) {
        prompt_.push_back(p);
        labels_.task.push_back(labels.task[p]);
        labels_.unit.push_back(labels.unit[p]);
      }
    }
  }

  [[nodiscard]] const RowLabels& labels() const noexcept { return labels_; }
  [[nodiscard]] std::size_t rows() const noexcept { return prompt_.size(); }
  /// Rows of `values` [prompts, width], as often as they come.
  template <typename Value>
  [[nodiscard]] std::vector<Value> repeated(std::span<const Value> values, std::size_t width) const {
    std::vector<Value> out;
    out.reserve(rows() * width);
    for (const std::size_t p : prompt_)
      out.insert(out.end(), values.begin() + static_cast<std::ptrdiff_t>(p * width),
                 values.begin() + static_cast<std::ptrdiff_t>((p + 1) * width));
    return out;
  }
  /// Counts [rows, layers, experts] after one shuffle within strata, each copy of a prompt with tokens of its own.
  [[nodiscard]] std::vector<std::uint32_t> shuffled_counts(Random& random) const {
    std::vector<std::size_t> row_begins(rows() + 1);
    for (std::size_t row = 0; row < rows(); ++row)
      row_begins[row + 1] = row_begins[row] + begins_[prompt_[row] + 1] - begins_[prompt_[row]];
    std::vector<std::uint32_t> source(row_begins.back()), order;
    for (std::size_t row = 0; row < rows(); ++row)
      std::iota(source.begin() + static_cast<std::ptrdiff_t>(row_begins[row]),
                source.begin() + static_cast<std::ptrdiff_t>(row_begins[row + 1]),
                static_cast<std::uint32_t>(begins_[prompt_[row]]));
    const auto for_each_copy = [&](const std::vector<std::uint32_t>& stratum, const auto& visit) {
      for (const std::uint32_t t : stratum) {
        const std::size_t p = table_.prompt[t];
        for (std::size_t copy = 0; copy < times_[p]; ++copy)
          visit(t, row_begins[first_row_[p] + copy] + t - begins_[p]);
      }
    };
    for (const auto& stratum : table_.strata) {
      interruption_point();
      order.clear();
      for_each_copy(stratum, [&](std::uint32_t t, std::size_t) { order.push_back(t); });
      random.shuffle(std::span(order));
      auto next = order.begin();
      for_each_copy(stratum, [&](std::uint32_t, std::size_t place) { source[place] = *next++; });
    }
    return counts(source, row_begins);
  }

 private:
  [[nodiscard]] std::vector<std::uint32_t> counts(std::span<const std::uint32_t> source,
                                                  std::span<const std::size_t> row_begins) const {
    std::vector<std::uint32_t> out(rows() * table_.layers * table_.experts);
    for (std::size_t row = 0; row < rows(); ++row) {
      interruption_point();
      for (std::size_t i = row_begins[row]; i < row_begins[row + 1]; ++i)
        for (std::size_t l = 0; l < table_.layers; ++l) {
          const auto experts = table_.row(source[i], l);
          std::uint32_t* const cell = out.data() + (row * table_.layers + l) * table_.experts;
          if (experts[0] != kNoExpert)
            for (const ExpertId e : experts) ++cell[e];
        }
    }
    return out;
  }

  const TokenTable& table_;
  std::span<const std::size_t> begins_;         // [prompts + 1]
  std::vector<std::size_t> first_row_, times_;  // [prompts]
  std::vector<std::size_t> prompt_;             // [rows]
  RowLabels labels_;                            // [rows]
};

/// What a bootstrap draw gives for a layer: D as it is, under two shuffles, and under load balance.
inline constexpr std::size_t kDrawn = 4;

/// [draws, layers, kDrawn] of every bootstrap draw. A draw takes prompts (or whole groups) as bootstrap.hpp does, and
/// shuffles within what it took, twice.
[[nodiscard]] inline std::vector<double> bootstrap_differences(const TokenTable& table,
                                                               const DecompositionOptions& options,
                                                               const Progress& progress) {
  const Units units = table.units();
  const Resamples resamples(units, {.draws = options.bootstrap, .seed = options.seed});
  const RowLabels labels = row_labels(table);
  const std::vector<std::size_t> begins = table.begins();
  const std::vector<std::uint32_t> counts = table.counts(table.unshuffled());
  const std::vector<double> factors = load_balance_factors(table);
  const std::size_t width = kDrawn * table.layers, cells = table.layers * table.experts;
  std::vector<double> drawn(options.bootstrap * width);
  const auto work = [&](std::size_t begin, std::size_t end) {
    std::vector<double> weights(units.size());
    std::vector<std::size_t> times(table.prompts());
    for (std::size_t b = begin; b < end; ++b) {
      resamples.fill(b, weights);
      for (std::size_t g = 0; g < units.size(); ++g)
        for (const std::size_t p : units.members(resamples.order()[g])) times[p] = static_cast<std::size_t>(weights[g]);
      const ResampledTable resampled(table, labels, begins, times);
      Random random(options.seed, stream(Draws::token_shuffle, (std::uint64_t{1} << 40U) | b));
      const auto of = [&](const std::vector<std::uint32_t>& one) {
        return layer_differences(resampled.labels(), std::span(one), table.layers, table.experts);
      };
      const std::array<std::vector<double>, kDrawn> found{
          of(resampled.repeated(std::span<const std::uint32_t>(counts), cells)), of(resampled.shuffled_counts(random)),
          of(resampled.shuffled_counts(random)),
          factor_differences(resampled.labels(), resampled.repeated(std::span<const double>(factors), table.layers),
                             table.layers)};
      for (std::size_t l = 0; l < table.layers; ++l)
        for (std::size_t k = 0; k < kDrawn; ++k) drawn[b * width + l * kDrawn + k] = found[k][l];
    }
  };
  parallel_for(options.bootstrap, 4, work, progress);
  return drawn;
}

/// `progress` as part of a larger whole: `before` items are done, `all` there are.
[[nodiscard]] inline Progress part_of(const Progress& progress, std::size_t before, std::size_t all) {
  if (!progress) return {};
  return [&progress, before, all](std::size_t done, std::size_t) { progress(before + done, all); };
}

using PartValues = std::array<double, 4>;

/// The parts of total, shuffled and length differences.
[[nodiscard]] inline PartValues parts_of(double total, double shuffled, double length) {
  return {total, length, shuffled - length, total - shuffled};
}

[[nodiscard]] inline Parts as_parts(const PartValues& values) {
  return {.total = {values[0]}, .length = {values[1]}, .vocabulary = {values[2]}, .context = {values[3]}};
}

/// Parts of one bootstrap draw, with each of its two shuffles.
using DrawnParts = std::array<PartValues, 2>;

/// Sets the bands of `parts` from draws. Their quantiles are taken around their mean and put around the value: a draw
/// has fewer different prompts than there are, and so fewer words that can move, which overstates vocabulary. What a
/// single shuffle adds to the spread is taken out: the covariance of the two is the variance over prompts alone.
inline void set_bands(Parts& parts, const std::vector<DrawnParts>& draws) {
  const std::array<Part*, 4> all{&parts.total, &parts.length, &parts.vocabulary, &parts.context};
  for (std::size_t i = 0; i < 4; ++i) {
    std::vector<double> values;
    double between = 0.0, squares = 0.0, mean = 0.0;
    for (const auto& [a, b] : draws)
      if (!std::isnan(a[i])) values.push_back((a[i] + b[i]) / 2.0);
    if (static_cast<double>(values.size()) < 0.95 * static_cast<double>(draws.size())) continue;
    for (const double x : values) mean += x / static_cast<double>(values.size());
    for (const auto& [a, b] : draws) {
      if (std::isnan(a[i])) continue;
      between += (a[i] - mean) * (b[i] - mean);
      squares += std::pow((a[i] + b[i]) / 2.0 - mean, 2);
    }
    const double scale = squares > 0.0 ? std::sqrt(std::clamp(between / squares, 0.0, 1.0)) : 0.0;
    const Spread found = spread(std::move(values));
    all[i]->band = {.low = all[i]->value + scale * (found.low - mean),
                    .high = all[i]->value + scale * (found.high - mean)};
  }
}

}  // namespace detail

/// Length, vocabulary and context of D. Bands come from the draws of bootstrap.hpp, n - 1 prompts (or whole groups) of
/// each task, with shuffles of its own in each; where `length` is given its band is the closed form's, moved.
[[nodiscard]] inline Decomposition decompose(const TokenTable& table, const DecompositionOptions& options = {},
                                             const Progress& progress = {}) {
  if (!options.length.empty() && options.length.size() != table.layers)
    throw invalid_argument("decomposition: expected length for ", table.layers, " layers, got ", options.length.size());
  for (const double x : options.length)
    if (!std::isfinite(x)) throw invalid_argument("decomposition: expected finite length, got ", x);
  Decomposition out{.no_bands = detail::why_no_bands(table, options)};
  const bool bands = out.no_bands.empty();
  const std::size_t all = options.shuffles + (bands ? options.bootstrap : 0);
  const TokenShuffle shuffle =
      token_shuffle(table, {.shuffles = options.shuffles, .seed = options.seed}, detail::part_of(progress, 0, all));
  if (!shuffle.difference) return out;

  const std::vector<double> closed =
      detail::factor_differences(detail::row_labels(table), detail::load_balance_factors(table), table.layers);
  const std::vector<double>& length = options.length.empty() ? closed : options.length;
  out.overall = detail::as_parts(
      detail::parts_of(shuffle.difference->observed, shuffle.difference->null.mean, detail::layer_mean(length)));
  for (std::size_t l = 0; l < table.layers; ++l) {
    auto& layer = out.layers.emplace_back();
    if (const auto& found = shuffle.layers[l])
      layer = detail::as_parts(detail::parts_of(found->observed, found->null.mean, length[l]));
  }
  if (!bands) return out;

  const std::vector<double> drawn =
      detail::bootstrap_differences(table, options, detail::part_of(progress, options.shuffles, all));
  std::vector<std::vector<detail::DrawnParts>> by_layer(table.layers,
                                                        std::vector<detail::DrawnParts>(options.bootstrap));
  for (std::size_t l = 0; l < table.layers; ++l) {
    for (std::size_t b = 0; b < options.bootstrap; ++b) {
      const double* const cell = drawn.data() + (b * table.layers + l) * detail::kDrawn;
      const double under_balance = cell[3] + length[l] - closed[l];
      for (std::size_t k = 0; k < 2; ++k) by_layer[l][b][k] = detail::parts_of(cell[0], cell[1 + k], under_balance);
    }
    if (out.layers[l]) detail::set_bands(*out.layers[l], by_layer[l]);
  }
  std::vector<detail::DrawnParts> overall(options.bootstrap);
  std::vector<double> values(table.layers);
  for (std::size_t b = 0; b < options.bootstrap; ++b)
    for (std::size_t k = 0; k < 2; ++k)
      for (std::size_t i = 0; i < 4; ++i) {
        for (std::size_t l = 0; l < table.layers; ++l) values[l] = by_layer[l][b][k][i];
        overall[b][k][i] = detail::layer_mean(values);
      }
  detail::set_bands(*out.overall, overall);
  return out;
}

}  // namespace routesig
