#include "routesig/controls/token_shuffle.hpp"

#include <algorithm>
#include <utility>

#include "routesig/error.hpp"
#include "routesig/statistics/unit_pairs.hpp"

namespace routesig {

ShuffleTest shuffle_test(double observed, std::vector<double> draws) {
  ShuffleTest out{.observed = observed, .p = upper_p_value(observed, draws)};
  out.null = spread(std::move(draws));
  if (observed > 0.0) out.share = out.null.mean / observed;
  return out;
}

namespace detail {

RowLabels row_labels(const TokenTable& table) {
  const Units units = table.units();
  RowLabels out{.task = table.task};
  for (std::size_t p = 0; p < table.prompts(); ++p) out.unit.push_back(units.of(p));
  return out;
}

double layer_mean(std::span<const double> values) {
  double sum = 0.0, count = 0.0;
  for (const double x : values) {
    if (std::isnan(x)) continue;
    sum += x;
    count += 1.0;
  }
  return sum / count;
}

namespace {

/// Column `index` of draws [repetitions, width].
[[nodiscard]] std::vector<double> column(std::span<const double> draws, std::size_t width, std::size_t index) {
  std::vector<double> out;
  out.reserve(draws.size() / width);
  for (std::size_t i = index; i < draws.size(); i += width) out.push_back(draws[i]);
  return out;
}

}  // namespace

void check_shuffles(const ShuffleOptions& options) {
  if (options.shuffles < 1) throw invalid_argument("token_shuffle: expected 1 shuffle or more, got 0");
}

}  // namespace detail

TokenShuffle token_shuffle(const TokenTable& table, const ShuffleOptions& options, const Progress& progress) {
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
