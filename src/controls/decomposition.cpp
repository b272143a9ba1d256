#include "routesig/controls/decomposition.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "routesig/error.hpp"
#include "routesig/statistics/bootstrap.hpp"
#include "routesig/statistics/statistics.hpp"
#include "routesig/statistics/unit_pairs.hpp"

namespace routesig {
namespace detail {
namespace {

/// Tokens with known routing of every prompt and layer: [prompts, layers].
[[nodiscard]] std::vector<double> known_tokens_of(const TokenTable& table) {
  std::vector<double> out(table.prompts() * table.layers);
  for (std::size_t t = 0; t < table.tokens(); ++t)
    for (std::size_t l = 0; l < table.layers; ++l)
      out[table.prompt[t] * table.layers + l] += table.row(t, l)[0] != kNoExpert ? 1.0 : 0.0;
  return out;
}

/// The expected cosine of prompts of T_a and T_b tokens under load balance is the product of f(T_a) and f(T_b),
/// f(T) = 1 / sqrt(1 + r / T), r = experts / top_k - 1: f of every prompt and layer, [prompts, layers], 0 without
/// tokens.
[[nodiscard]] std::vector<double> load_balance_factors(const TokenTable& table) {
  std::vector<double> known = known_tokens_of(table);
  const double r = static_cast<double>(table.experts) / static_cast<double>(table.top_k) - 1.0;
  for (double& x : known) x = x > 0.0 ? 1.0 / std::sqrt(1.0 + r / x) : 0.0;
  return known;
}

/// D of every layer where similarities are products of `factors` [rows, layers].
[[nodiscard]] std::vector<double> factor_differences(const RowLabels& labels, std::span<const double> factors,
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

[[nodiscard]] std::string why_no_bands(const TokenTable& table, const DecompositionOptions& options) {
  if (options.bootstrap == 0) return "no bootstrap was asked for";
  const Units units = table.units();
  const std::size_t fewest = units.fewest();
  if (fewest >= kFewestResampled) return "";
  return sentence("a task has ", fewest, units.size() < table.prompts() ? " groups" : " prompts", ", fewer than ",
                  kFewestResampled);
}

/// What a bootstrap draw gives for a layer: D as it is, under two shuffles, and under load balance.
constexpr std::size_t kDrawn = 4;

/// [draws, layers, kDrawn] of every bootstrap draw. A draw takes prompts (or whole groups) as bootstrap.hpp does, and
/// shuffles within what it took, twice.
[[nodiscard]] std::vector<double> bootstrap_differences(const TokenTable& table, const DecompositionOptions& options,
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
[[nodiscard]] Progress part_of(const Progress& progress, std::size_t before, std::size_t all) {
  if (!progress) return {};
  return [&progress, before, all](std::size_t done, std::size_t) { progress(before + done, all); };
}

using PartValues = std::array<double, 4>;

/// The parts of total, shuffled and length differences.
[[nodiscard]] PartValues parts_of(double total, double shuffled, double length) {
  return {total, length, shuffled - length, total - shuffled};
}

[[nodiscard]] Parts as_parts(const PartValues& values) {
  return {.total = {values[0]}, .length = {values[1]}, .vocabulary = {values[2]}, .context = {values[3]}};
}

/// Parts of one bootstrap draw, with each of its two shuffles.
using DrawnParts = std::array<PartValues, 2>;

/// Sets the bands of `parts` from draws. Their quantiles are taken around their mean and put around the value: a draw
/// has fewer different prompts than there are, and so fewer words that can move, which overstates vocabulary. What a
/// single shuffle adds to the spread is taken out: the covariance of the two is the variance over prompts alone.
void set_bands(Parts& parts, const std::vector<DrawnParts>& draws) {
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

}  // namespace
}  // namespace detail

Decomposition decompose(const TokenTable& table, const DecompositionOptions& options, const Progress& progress) {
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
