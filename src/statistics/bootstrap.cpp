#include "routesig/statistics/bootstrap.hpp"

#include <Eigen/Core>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "routesig/statistics/statistics.hpp"

namespace routesig {
namespace detail {
namespace {

using RowMajorMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Sums of what pairs add, within tasks and across.
struct PairSums {
  double within = 0.0, across = 0.0;
};

/// Sums over pairs of units, weighted with the product of their weights.
class WeightedPairs {
 public:
  WeightedPairs(const std::vector<double>& sums, const Resamples& resamples)
      : resamples_(resamples), between_(size(resamples.units()), size(resamples.units())) {
    const std::size_t n = resamples.units();
    parallel_for(n, 16, [&](std::size_t begin, std::size_t end) {
      for (std::size_t g = begin; g < end; ++g) {
        const double* const row = sums.data() + resamples.order()[g] * n;
        for (std::size_t h = 0; h < n; ++h) between_(size(g), size(h)) = row[resamples.order()[h]];
      }
    });
  }

  /// For rows of weights [draws, units].
  [[nodiscard]] std::vector<PairSums> operator()(const RowMajorMatrix& weights) const {
    Eigen::VectorXd within = Eigen::VectorXd::Zero(weights.rows()), across = within;
    for (std::size_t task = 0; task < resamples_.tasks(); ++task) {  // every pair of tasks once
      const Eigen::Index at = size(resamples_.start(task)), count = size(resamples_.count(task));
      const Eigen::Index rest = between_.cols() - at - count;
      const RowMajorMatrix sums = weights.middleCols(at, count) * between_.block(at, at, count, count + rest);
      within += sums.leftCols(count).cwiseProduct(weights.middleCols(at, count)).rowwise().sum();
      across += sums.rightCols(rest).cwiseProduct(weights.rightCols(rest)).rowwise().sum();
    }
    std::vector<PairSums> out;
    out.reserve(static_cast<std::size_t>(weights.rows()));
    for (Eigen::Index i = 0; i < weights.rows(); ++i) out.push_back({0.5 * within[i], across[i]});
    return out;
  }

  /// All units once, and then without each of them: [1 + units].
  [[nodiscard]] std::vector<PairSums> left_out() const {
    std::vector<PairSums> out(1 + resamples_.units());
    PairSums& all = out.front();
    for (std::size_t task = 0; task < resamples_.tasks(); ++task) {
      const Eigen::Index at = size(resamples_.start(task)), count = size(resamples_.count(task));
      for (Eigen::Index g = at; g < at + count; ++g) {
        const double same = between_.row(g).segment(at, count).sum();
        const double other = between_.row(g).head(at).sum() + between_.row(g).tail(between_.cols() - at - count).sum();
        out[1 + static_cast<std::size_t>(g)] = {same, other};
        all.within += 0.5 * same;
        all.across += 0.5 * other;
      }
    }
    for (std::size_t g = 1; g < out.size(); ++g) out[g] = {all.within - out[g].within, all.across - out[g].across};
    return out;
  }

 private:
  static Eigen::Index size(std::size_t n) { return static_cast<Eigen::Index>(n); }

  const Resamples& resamples_;
  RowMajorMatrix between_;  // [units, units], diagonal 0
};

/// How many pairs there are where none lacks a similarity: as WeightedPairs of their counts, which are products of
/// sizes.
class WeightedCounts {
 public:
  WeightedCounts(const Units& units, const Resamples& resamples) : resamples_(resamples) {
    for (const std::size_t unit : resamples.order()) sizes_.push_back(static_cast<double>(units.members(unit).size()));
  }

  [[nodiscard]] PairSums operator()(std::span<const double> weights) const {
    double all = 0.0, squares = 0.0, same = 0.0;
    for (std::size_t task = 0; task < resamples_.tasks(); ++task) {
      double sum = 0.0;
      for (std::size_t g = resamples_.start(task); g < resamples_.start(task + 1); ++g) {
        const double prompts = weights[g] * sizes_[g];
        sum += prompts;
        squares += prompts * prompts;
      }
      all += sum;
      same += sum * sum;
    }
    return {.within = (same - squares) / 2.0, .across = (all * all - same) / 2.0};
  }

  [[nodiscard]] std::vector<PairSums> left_out() const {
    std::vector<double> weights(sizes_.size(), 1.0);
    std::vector<PairSums> out{(*this)(weights)};
    for (double& weight : weights) {
      weight = 0.0;
      out.push_back((*this)(weights));
      weight = 1.0;
    }
    return out;
  }

 private:
  const Resamples& resamples_;
  std::vector<double> sizes_;  // [units]: prompts
};

[[nodiscard]] Statistics weighted_statistics(const PairSums& n, const PairSums& sum, const PairSums& squares,
                                             double shift) {
  constexpr double absent = std::numeric_limits<double>::quiet_NaN();
  Statistics out{absent, absent, absent, absent};
  const double within = sum.within / n.within, across = sum.across / n.across;
  if (n.within > 0.0) out[0] = shift + within;
  if (n.across > 0.0) out[1] = shift + across;
  if (!(n.within > 0.0 && n.across > 0.0)) return out;
  out[2] = within - across;
  const double residual = squares.within - sum.within * within + squares.across - sum.across * across;
  const double sd = std::sqrt(std::max(residual, 0.0) / (n.within + n.across - 2.0));
  if (n.within + n.across > 2.0 && sd > kNoSpread) out[3] = out[2] / sd;
  return out;
}

}  // namespace

std::vector<Statistics> resampled(const Units& units, const Resamples& resamples, std::span<const double> similarity,
                                  const Progress& progress) {
  double mean = 0.0;
  const auto prepared = [&] {
    CentredPairs pairs = centred_pairs(units, similarity);
    mean = pairs.mean;
    return std::pair(WeightedPairs(pairs.sums, resamples), WeightedPairs(pairs.squares, resamples));
  };
  const auto [sum, square] = prepared();
  const WeightedCounts sizes(units, resamples);
  std::optional<WeightedPairs> present;  // where pairs lack a similarity: how many have one
  if (!units.complete(similarity)) present.emplace(units.pair_counts(similarity), resamples);

  std::vector<Statistics> out(resamples.rows());
  const auto work = [&](std::size_t begin, std::size_t end) {
    RowMajorMatrix weights(static_cast<Eigen::Index>(end - begin), static_cast<Eigen::Index>(units.size()));
    const auto row = [&](std::size_t draw) {
      return std::span(weights.row(static_cast<Eigen::Index>(draw - begin)).data(), units.size());
    };
    for (std::size_t draw = begin; draw < end; ++draw) resamples.fill(draw, row(draw));
    const auto s = sum(weights), q = square(weights);
    const auto n = present ? (*present)(weights) : std::vector<PairSums>();
    for (std::size_t draw = begin; draw < end; ++draw)
      out[1 + draw] =
          weighted_statistics(present ? n[draw - begin] : sizes(row(draw)), s[draw - begin], q[draw - begin], mean);
  };
  parallel_for(resamples.draws(), 64, work, progress);

  const auto n = present ? present->left_out() : sizes.left_out(), s = sum.left_out(), q = square.left_out();
  for (std::size_t i = 0; i < n.size(); ++i)
    out[i == 0 ? 0 : resamples.draws() + i] = weighted_statistics(n[i], s[i], q[i], mean);
  return out;
}

BootstrapEstimate bootstrap_estimate(std::span<const double> values, const Resamples& resamples,
                                     const BootstrapOptions& options, bool intervals) {
  BootstrapEstimate out;
  if (std::isnan(values[0])) return out;
  out.value = values[0];
  if (!intervals) return out;
  std::vector<std::span<const double>> left_out;
  left_out.reserve(resamples.tasks());
  for (std::size_t task = 0; task < resamples.tasks(); ++task)
    left_out.push_back(values.subspan(1 + options.draws + resamples.start(task), resamples.count(task)));
  std::vector<double> draws(values.begin() + 1, values.begin() + 1 + static_cast<std::ptrdiff_t>(options.draws));
  std::erase_if(draws, [](double x) { return std::isnan(x); });
  // Where many draws are undefined, the others are a selection.
  if (static_cast<double>(draws.size()) < 0.95 * static_cast<double>(options.draws)) return out;
  out.se = spread(draws).sd;
  out.interval = bca_interval(values[0], std::move(draws), acceleration(left_out), options.level);
  return out;
}

namespace {

/// Intervals for `matrices` similarity matrices [n, n]; matrix(m) gives the m-th when it is wanted.
template <typename Matrix>
[[nodiscard]] Bootstrap bootstrap_each(std::size_t matrices, const Matrix& matrix, std::span<const int> task,
                                       std::span<const int> group, const BootstrapOptions& options,
                                       const Progress& progress) {
  const Units units(task, group);
  const Resamples resamples(units, options);
  Bootstrap out{.units = units.size(), .fewest = units.fewest()};
  const bool intervals = out.fewest >= kFewestResampled, too_few_pairs = units.short_task().has_value();

  const std::size_t rows = resamples.rows(), draws = resamples.draws();
  std::vector<double> slopes(rows), column(rows);
  const double middle = (static_cast<double>(matrices) - 1.0) / 2.0;
  for (std::size_t m = 0; m < matrices; ++m) {
    const Progress part = [&](std::size_t done, std::size_t) { progress(m * draws + done, matrices * draws); };
    const auto values = resampled(units, resamples, matrix(m), progress ? part : Progress{});
    auto& found = out.separations.emplace_back();
    const std::array<BootstrapEstimate*, 4> estimates{&found.within, &found.across, &found.difference, &found.cohens_d};
    for (std::size_t k = 0; k < estimates.size(); ++k) {
      if (too_few_pairs && k != 1) continue;  // as `separation`: nothing but the mean across
      for (std::size_t row = 0; row < rows; ++row) column[row] = values[row][k];
      *estimates[k] = bootstrap_estimate(column, resamples, options, intervals);
    }
    // The least-squares slope is linear in the values: add this layer's part of it.
    for (std::size_t row = 0; row < rows; ++row) slopes[row] += (static_cast<double>(m) - middle) * values[row][3];
  }
  if (matrices < 2 || too_few_pairs) return out;
  const auto layers = static_cast<double>(matrices);
  for (double& slope : slopes) slope /= layers * (layers * layers - 1.0) / 12.0;
  out.slope = bootstrap_estimate(slopes, resamples, options, intervals);
  return out;
}

}  // namespace
}  // namespace detail

Bootstrap bootstrap(std::span<const double> similarity, std::span<const int> task, std::span<const int> group,
                    const BootstrapOptions& options, const Progress& progress) {
  const std::size_t size = task.size() * task.size();
  if (size == 0 ? !similarity.empty() : similarity.size() % size != 0)
    throw invalid_argument("bootstrap: expected similarity matrices of ", task.size(), " x ", task.size(),
                           " (one task label per prompt), got ", similarity.size(), " values");
  return detail::bootstrap_each(
      size == 0 ? 0 : similarity.size() / size, [&](std::size_t m) { return similarity.subspan(m * size, size); }, task,
      group, options, progress);
}

Bootstrap layer_bootstrap(const SignatureView& set, std::span<const int> task, std::span<const int> group,
                          const BootstrapOptions& options, const Progress& progress) {
  LayerSimilarities layers(set);
  return detail::bootstrap_each(
      set.layers, [&](std::size_t layer) { return layers(layer); }, task, group, options, progress);
}

}  // namespace routesig
