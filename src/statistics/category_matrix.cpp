#include "routesig/statistics/category_matrix.hpp"

#include <algorithm>
#include <cmath>

#include "routesig/error.hpp"
#include "routesig/statistics/unit_pairs.hpp"

namespace routesig {

CategoryMatrix category_matrix(std::span<const double> similarity, std::span<const int> task, std::size_t tasks,
                               std::span<const int> group) {
  const std::size_t n = task.size();
  if (similarity.size() != n * n)
    throw invalid_argument("category_matrix: expected a similarity matrix of ", n, " x ", n,
                           " (one task label per prompt), got ", similarity.size(), " values");
  const Units units(task, group);
  CategoryMatrix out{.tasks = tasks,
                     .pairs = std::vector<std::size_t>(tasks * tasks),
                     .mean = std::vector<std::optional<double>>(tasks * tasks)};
  std::vector<double> sums(tasks * tasks);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = i + 1; j < n; ++j) {
      const double x = similarity[i * n + j];
      if (task[i] < 0 || task[j] < 0 || units.of(i) == units.of(j) || std::isnan(x)) continue;
      const auto a = static_cast<std::size_t>(std::min(task[i], task[j]));
      const auto b = static_cast<std::size_t>(std::max(task[i], task[j]));
      if (b >= tasks) throw invalid_argument("category_matrix: expected tasks below ", tasks, ", got ", b);
      sums[a * tasks + b] += x;
      ++out.pairs[a * tasks + b];
    }
  for (std::size_t a = 0; a < tasks; ++a)
    for (std::size_t b = a; b < tasks; ++b) {
      const std::size_t pairs = out.pairs[a * tasks + b];
      out.pairs[b * tasks + a] = pairs;
      if (!std::isfinite(sums[a * tasks + b]))
        throw invalid_argument("category_matrix: expected finite similarities, got a sum of ", sums[a * tasks + b]);
      if (pairs > 0)
        out.mean[b * tasks + a] = out.mean[a * tasks + b] = sums[a * tasks + b] / static_cast<double>(pairs);
    }
  return out;
}

Separation balanced_separation(std::span<const double> similarity, std::span<const int> task,
                               std::span<const int> group) {
  Separation out = separation(similarity, task, group);
  const auto tasks = static_cast<std::size_t>(task.empty() ? 0 : std::max(0, 1 + std::ranges::max(task)));
  const CategoryMatrix matrix = category_matrix(similarity, task, tasks, group);
  double within = 0.0, across = 0.0, alone = 0.0, together = 0.0;
  for (std::size_t a = 0; a < tasks; ++a)
    for (std::size_t b = a; b < tasks; ++b)
      if (const auto& mean = matrix.mean[a * tasks + b]) {
        (a == b ? within : across) += *mean;
        (a == b ? alone : together) += 1.0;
      }
  if (out.cohens_d) {
    const auto n_w = static_cast<double>(out.within.pairs), n_a = static_cast<double>(out.across.pairs);
    const auto squares = [](const PairMoments& m, double n) { return m.sd ? *m.sd * *m.sd * (n - 1.0) : 0.0; };
    const double pooled = (squares(out.within, n_w) + squares(out.across, n_a)) / (n_w + n_a - 2.0);
    out.cohens_d = (within / alone - across / together) / std::sqrt(pooled);
  }
  if (out.within.mean) out.within.mean = within / alone;
  if (out.across.mean) out.across.mean = across / together;
  return out;
}

}  // namespace routesig
