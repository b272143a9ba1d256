#include "routesig/statistics/statistics.hpp"

#include <algorithm>
#include <cmath>

#include "routesig/error.hpp"
#include "routesig/statistics/unit_pairs.hpp"
#include "statistics/quantile.hpp"

namespace routesig {

Separation separation(std::span<const double> similarity, std::span<const int> task, std::span<const int> group) {
  const std::size_t n = task.size();
  if (similarity.size() != n * n)
    throw invalid_argument("separation: expected a similarity matrix of ", n, " x ", n,
                           " (one task label per prompt), got ", similarity.size(), " values");
  const Units units(task, group);
  struct Sums {
    std::size_t pairs = 0;
    double mean = 0.0, squares = 0.0;  // squares: sum of squared deviations (Welford)
    void add(double x) {
      const double delta = x - mean;
      mean += delta / static_cast<double>(++pairs);
      squares += delta * (x - mean);
    }
    [[nodiscard]] PairMoments moments() const {
      PairMoments out{.pairs = pairs};
      if (pairs > 0) out.mean = mean;
      if (pairs > 1) out.sd = std::sqrt(squares / static_cast<double>(pairs - 1));
      return out;
    }
  } within, across;

  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = i + 1; j < n; ++j) {
      const double x = similarity[i * n + j];
      if (task[i] < 0 || task[j] < 0 || units.of(i) == units.of(j) || std::isnan(x)) continue;
      (task[i] == task[j] ? within : across).add(x);
    }
  if (!std::isfinite(within.mean + across.mean))
    throw invalid_argument("separation: expected finite similarities, got ", within.mean + across.mean);

  Separation out{.within = within.moments(), .across = across.moments()};
  if (units.short_task()) {
    out.within = {.pairs = within.pairs};
    return out;
  }
  if (within.pairs > 0 && across.pairs > 0 && within.pairs + across.pairs > 2) {
    const double pooled = (within.squares + across.squares) / static_cast<double>(within.pairs + across.pairs - 2);
    const double sd = std::sqrt(pooled);
    if (sd > kNoSpread) out.cohens_d = (within.mean - across.mean) / sd;
  }
  return out;
}

std::optional<double> depth_slope(std::span<const double> values) {
  if (values.size() < 2) return std::nullopt;
  const auto n = static_cast<double>(values.size());
  double sum = 0.0;
  for (std::size_t i = 0; i < values.size(); ++i) sum += (static_cast<double>(i) - (n - 1.0) / 2.0) * values[i];
  return sum / (n * (n * n - 1.0) / 12.0);
}

Spread spread(std::vector<double> values) {
  Spread out{.draws = values.size()};
  if (values.empty()) return out;
  std::ranges::sort(values);
  const auto n = static_cast<double>(values.size());
  for (const double x : values) out.mean += x / n;
  double squares = 0.0;
  for (const double x : values) squares += (x - out.mean) * (x - out.mean);
  if (values.size() > 1) out.sd = std::sqrt(squares / (n - 1.0));
  out.low = sorted_quantile(values, 0.025);
  out.high = sorted_quantile(values, 0.975);
  return out;
}

bool at_least(double draw, double observed) noexcept {
  return draw >= observed - 1e-12 * std::max(1.0, std::abs(observed));
}

PValue upper_p_value(double observed, std::span<const double> draws) {
  const auto reached = std::ranges::count_if(draws, [&](double draw) { return at_least(draw, observed); });
  const double all = 1.0 + static_cast<double>(draws.size());
  return {.value = (1.0 + static_cast<double>(reached)) / all, .floor = 1.0 / all};
}

}  // namespace routesig
