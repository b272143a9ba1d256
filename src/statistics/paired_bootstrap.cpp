#include "routesig/statistics/paired_bootstrap.hpp"

#include <array>
#include <vector>

#include "routesig/statistics/unit_pairs.hpp"

namespace routesig {

PairedBootstrap paired_bootstrap(std::span<const double> a, std::span<const double> b, std::span<const int> task,
                                 std::span<const int> group, const BootstrapOptions& options,
                                 const Progress& progress) {
  const Units units(task, group);
  const detail::Resamples resamples(units, options);
  PairedBootstrap out{.units = units.size(), .fewest = units.fewest()};
  const bool intervals = out.fewest >= kFewestResampled, too_few_pairs = units.short_task().has_value();

  const std::size_t rows = resamples.rows();
  const auto part = [&](std::size_t before) {
    const Progress told = [&progress, before, draws = options.draws](std::size_t done, std::size_t) {
      progress(before + done, 2 * draws);
    };
    return progress ? told : Progress{};
  };
  const auto of_a = detail::resampled(units, resamples, a, part(0));
  const auto of_b = detail::resampled(units, resamples, b, part(options.draws));
  std::vector<double> column_a(rows), column_b(rows), difference(rows);
  const std::array<PairedEstimate*, 4> estimates{&out.within, &out.across, &out.difference, &out.cohens_d};
  for (std::size_t k = 0; k < estimates.size(); ++k) {
    if (too_few_pairs && k != 1) continue;  // as `separation`: nothing but the mean across
    for (std::size_t row = 0; row < rows; ++row) {
      column_a[row] = of_a[row][k];
      column_b[row] = of_b[row][k];
      difference[row] = of_b[row][k] - of_a[row][k];  // NaN where either is
    }
    estimates[k]->a = detail::bootstrap_estimate(column_a, resamples, options, intervals);
    estimates[k]->b = detail::bootstrap_estimate(column_b, resamples, options, intervals);
    estimates[k]->difference = detail::bootstrap_estimate(difference, resamples, options, intervals);
  }
  return out;
}

}  // namespace routesig
