#include "routesig/statistics/signature_separation.hpp"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <vector>

#include "routesig/error.hpp"
#include "routesig/interrupt.hpp"
#include "routesig/metric.hpp"
#include "routesig/statistics/unit_pairs.hpp"

namespace routesig {
namespace detail {
namespace {

using RowsOfCells = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;  // [prompts, cells]

/// Number, sum and sum of squares of similarities over pairs of prompts.
struct PairPowers {
  double pairs = 0.0, sum = 0.0, squares = 0.0;

  PairPowers& operator+=(const PairPowers& other) {
    pairs += other.pairs;
    sum += other.sum;
    squares += other.squares;
    return *this;
  }
  PairPowers& operator-=(const PairPowers& other) { return *this += {-other.pairs, -other.sum, -other.squares}; }

  [[nodiscard]] double deviations() const {  // squared, summed; at least what rounding leaves of them
    const double rest = squares - sum * sum / pairs;
    return rest > 1e-13 * squares ? rest : 0.0;
  }
  [[nodiscard]] PairMoments moments() const {
    PairMoments out{.pairs = static_cast<std::size_t>(pairs)};
    if (pairs > 0.0) out.mean = sum / pairs;
    if (pairs > 1.0) out.sd = std::sqrt(deviations() / (pairs - 1.0));
    return out;
  }
};

/// Of all pairs of `rows` [prompts, cells], one by one.
[[nodiscard]] PairPowers pairs_of(const RowsOfCells& rows) {
  PairPowers out;
  for (Eigen::Index i = 1; i < rows.rows(); ++i) {
    const Eigen::VectorXd similarities = rows.topRows(i) * rows.row(i).transpose();
    out += {static_cast<double>(i), similarities.sum(), similarities.squaredNorm()};
  }
  return out;
}

/// The unit rows of some prompts, and what of all their pairs is known from sums over them.
struct CellSums {
  Eigen::VectorXd sum;                                 // [cells]: of u
  Eigen::MatrixXd products;                            // [cells, cells]: of u u^T; the lower triangle
  double prompts = 0.0, own = 0.0, own_squares = 0.0;  // how many; sums of |u|^2 and |u|^4

  explicit CellSums(Eigen::Index cells)
      : sum(Eigen::VectorXd::Zero(cells)), products(Eigen::MatrixXd::Zero(cells, cells)) {}

  void add(const RowsOfCells& rows) {
    const Eigen::VectorXd squares = rows.rowwise().squaredNorm();
    prompts += static_cast<double>(rows.rows());
    own += squares.sum();
    own_squares += squares.squaredNorm();
    sum += rows.colwise().sum().transpose();
    constexpr Eigen::Index kAtOnce = 1024;
    for (Eigen::Index first = 0; first < rows.rows(); first += kAtOnce) {
      interruption_point();
      const auto some = rows.middleRows(first, std::min(kAtOnce, rows.rows() - first));
      products.selfadjointView<Eigen::Lower>().rankUpdate(some.transpose());
    }
  }
  [[nodiscard]] PairPowers pairs() const {
    double squares = 0.0;
    for (Eigen::Index i = 0; i < sum.size(); ++i)
      squares += products(i, i) * products(i, i) + 2.0 * products.col(i).tail(sum.size() - i - 1).squaredNorm();
    return {prompts * (prompts - 1.0) / 2.0, (sum.squaredNorm() - own) / 2.0, (squares - own_squares) / 2.0};
  }
};

/// The rows of some prompts, whose inner products are their similarities.
[[nodiscard]] RowsOfCells rows_of_cells(const SignatureView& set, std::span<const std::size_t> prompts) {
  RowsOfCells rows(static_cast<Eigen::Index>(prompts.size()), static_cast<Eigen::Index>(set.layers * set.experts));
  for (std::size_t i = 0; i < prompts.size(); ++i)
    for (std::size_t l = 0; l < set.layers; ++l)
      Cosine{}.embed(set.row(prompts[i], l),
                     {rows.row(static_cast<Eigen::Index>(i)).data() + l * set.experts, set.experts});
  rows /= std::sqrt(static_cast<double>(set.layers));
  return rows;
}

[[nodiscard]] Separation separation_by_cells(const SignatureView& set, std::span<const int> task,
                                             std::span<const int> group) {
  const auto cells = static_cast<Eigen::Index>(set.layers * set.experts);
  const Units units(task, group);
  std::map<int, std::vector<std::size_t>> tasks;
  for (std::size_t i = 0; i < task.size(); ++i)
    if (task[i] >= 0) tasks[task[i]].push_back(i);

  CellSums all(cells);
  PairPowers within, inside;  // of one task; of one unit
  for (const auto& [name, prompts] : tasks) {
    const RowsOfCells rows = rows_of_cells(set, prompts);
    CellSums own(cells);
    own.add(rows);
    within += own.pairs();
    all.sum += own.sum;
    all.products += own.products;
    all.prompts += own.prompts;
    all.own += own.own;
    all.own_squares += own.own_squares;
  }
  for (std::size_t unit = 0; unit < units.size(); ++unit)
    if (units.members(unit).size() > 1) inside += pairs_of(rows_of_cells(set, units.members(unit)));
  PairPowers total = all.pairs(), across = total;
  across -= within;
  within -= inside;
  total -= inside;
  if (!std::isfinite(total.sum)) throw invalid_argument("separation: expected finite similarities, got ", total.sum);

  Separation out{.within = within.moments(), .across = across.moments()};
  if (units.short_task()) {
    out.within = {.pairs = out.within.pairs};
    return out;
  }
  if (within.pairs > 0.0 && across.pairs > 0.0 && total.pairs > 2.0) {
    const double sd = std::sqrt((within.deviations() + across.deviations()) / (total.pairs - 2.0));
    if (sd > kNoSpread) out.cohens_d = (*out.within.mean - *out.across.mean) / sd;
  }
  return out;
}

}  // namespace
}  // namespace detail

Separation signature_separation(const SignatureView& set, std::span<const int> task, std::span<const int> group) {
  if (task.size() > set.layers * set.experts && set.complete()) return detail::separation_by_cells(set, task, group);
  return separation(similarity_matrix(set), task, group);
}

}  // namespace routesig
