#include "routesig/statistics/dispersion.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <unordered_map>
#include <utility>

#include "routesig/error.hpp"
#include "routesig/interrupt.hpp"
#include "routesig/random.hpp"
#include "routesig/statistics/unit_pairs.hpp"

namespace routesig {
namespace detail {
namespace {

/// Distances to task centroids from inner products, a prompt's own unit left out of its centroid: [n]. `similarity`
/// [n, n]: the diagonal and what is above it.
[[nodiscard]] std::vector<std::optional<double>> centroid_distances(std::span<const double> similarity,
                                                                    const Units& units) {
  struct Sums {
    double prompts = 0.0,
           inner = 0.0;  // how many; inner products of all ordered pairs, a prompt with itself among them
  };
  const std::size_t n = units.prompts();
  const auto inner = [&](std::size_t i, std::size_t j) { return similarity[std::min(i, j) * n + std::max(i, j)]; };
  const auto task_of = [&](std::size_t i) { return units.task()[static_cast<std::size_t>(units.of(i))]; };
  std::unordered_map<int, Sums> tasks;
  std::vector<Sums> of_unit(units.size());
  std::vector<double> own(n), within_unit(n);  // inner products with all of the task; of the unit
  for (std::size_t i = 0; i < n; ++i) {
    interruption_point();
    if (units.of(i) < 0) continue;
    for (std::size_t j = 0; j < n; ++j) {
      if (units.of(j) < 0 || task_of(j) != task_of(i)) continue;
      own[i] += inner(i, j);
      if (units.of(j) == units.of(i)) within_unit[i] += inner(i, j);
    }
    tasks[task_of(i)].prompts += 1.0;
    tasks[task_of(i)].inner += own[i];
    Sums& unit = of_unit[static_cast<std::size_t>(units.of(i))];
    unit.prompts += 1.0;
    unit.inner += 2.0 * own[i] - within_unit[i];  // what the task loses without the unit
  }
  std::vector<std::optional<double>> out(n);
  for (std::size_t i = 0; i < n; ++i) {
    if (units.of(i) < 0) continue;
    const Sums &task = tasks[task_of(i)], &unit = of_unit[static_cast<std::size_t>(units.of(i))];
    const double others = task.prompts - unit.prompts;
    if (others < 1.0) continue;
    const double squared =
        inner(i, i) - 2.0 * (own[i] - within_unit[i]) / others + (task.inner - unit.inner) / (others * others);
    out[i] = std::sqrt(std::max(squared, 0.0) * others / (others + 1.0));
  }
  return out;
}

/// Between-task over within-task mean square of `values` [units].
class OneWay {
 public:
  OneWay(std::vector<double> values, std::size_t tasks) : values_(std::move(values)), tasks_(tasks) {
    const auto n = static_cast<double>(values_.size());
    double mean = 0.0;
    for (const double x : values_) mean += x / n;
    for (double& x : values_) x -= mean;
    for (const double x : values_) total_ += x * x;
  }

  /// Whether the values vary.
  [[nodiscard]] bool varies() const noexcept { return total_ > kNoSpread * kNoSpread; }

  [[nodiscard]] double f(std::span<const std::uint32_t> label) const {
    std::vector<double> sums(tasks_), counts(tasks_);
    for (std::size_t i = 0; i < values_.size(); ++i) {
      sums[label[i]] += values_[i];
      counts[label[i]] += 1.0;
    }
    double between = 0.0, groups = 0.0;
    for (std::size_t c = 0; c < tasks_; ++c) {
      if (counts[c] == 0.0) continue;
      between += sums[c] * sums[c] / counts[c];
      groups += 1.0;
    }
    const double within = std::max(total_ - between, kNoSpread * kNoSpread);
    return (between / (groups - 1.0)) / (within / (static_cast<double>(values_.size()) - groups));
  }

 private:
  std::vector<double> values_;
  std::size_t tasks_;
  double total_ = 0.0;
};

}  // namespace
}  // namespace detail

DispersionTest dispersion_test(std::span<const double> similarity, std::span<const int> task,
                               std::span<const int> group, LabellingOptions options, const Progress& progress) {
  if (similarity.size() != task.size() * task.size())
    throw invalid_argument("dispersion_test: expected a similarity matrix of ", task.size(), " x ", task.size(),
                           " (one task label per prompt), got ", similarity.size(), " values");
  if (!std::ranges::all_of(similarity, [](double x) { return std::isfinite(x); }))
    throw invalid_argument("dispersion_test: expected a finite similarity of every pair of prompts");
  DispersionTest out{.distance = detail::centroid_distances(similarity, Units(task, group))};
  std::vector<int> kept(task.begin(), task.end());
  for (std::size_t i = 0; i < kept.size(); ++i)
    if (!out.distance[i]) kept[i] = -1;
  const Units units(kept, group);
  std::vector<double> values;
  for (std::size_t unit = 0; unit < units.size(); ++unit) {
    double sum = 0.0;
    for (const std::size_t i : units.members(unit)) sum += *out.distance[i];
    values.push_back(sum / static_cast<double>(units.members(unit).size()));
  }
  options.purpose = Draws::dispersion;
  const Labellings labellings(units, options);
  out.units = units.size();
  out.exact = labellings.exact();
  out.permutations = labellings.size();

  std::vector<int> present = units.task();
  std::ranges::sort(present);
  present.erase(std::ranges::unique(present).begin(), present.end());
  const detail::OneWay one_way(std::move(values), labellings.tasks());
  if (present.size() < 2 || units.size() <= present.size() || !one_way.varies()) return out;
  const std::vector<std::uint32_t> observed(units.task().begin(), units.task().end());
  out.f = one_way.f(observed);
  std::vector<double> draws(labellings.size());
  const auto work = [&](std::size_t begin, std::size_t end) {
    std::vector<std::uint32_t> label(units.size());
    for (std::size_t i = begin; i < end; ++i) {
      labellings.fill(i, label);
      draws[i] = one_way.f(label);
    }
  };
  parallel_for(draws.size(), 512, work, progress);
  if (labellings.floor() < 1.0) out.p = labellings.p_value(*out.f, draws);
  return out;
}

}  // namespace routesig
