/// \file signature_separation.hpp
/// The separation of a set's mean layer-wise cosines without a matrix [prompts, prompts]: what many prompts need.
///
///     const auto s = routesig::signature_separation(set, tasks);     // as separation(similarity_matrix(set), tasks)
///
/// Where u holds the unit rows of a prompt side by side, the similarity of two is u_i . u_j. Over pairs, similarities
/// sum to a part of |sum u|^2 and their squares to a part of |sum u u^T|^2: matrices [cells, cells], cells = layers x
/// experts, however many prompts there are.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <span>
#include <vector>

#include "routesig/interrupt.hpp"
#include "routesig/similarity.hpp"
#include "routesig/statistics.hpp"

namespace routesig {
namespace detail {

/// Number, sum and sum of squares of similarities over pairs of different prompts.
struct PairPowers {
  double pairs = 0.0, sum = 0.0, squares = 0.0;

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

/// The unit rows of some prompts, and what of all their pairs is known from sums over them.
struct CellSums {
  Eigen::VectorXd sum;                                 // [cells]: of u
  Eigen::MatrixXd products;                            // [cells, cells]: of u u^T; the lower triangle
  double prompts = 0.0, own = 0.0, own_squares = 0.0;  // how many; sums of |u|^2 and |u|^4

  explicit CellSums(Eigen::Index cells)
      : sum(Eigen::VectorXd::Zero(cells)), products(Eigen::MatrixXd::Zero(cells, cells)) {}

  /// `rows` [prompts, cells].
  void add(const Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>& rows) {
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

[[nodiscard]] inline Separation separation_by_cells(const SignatureView& set, std::span<const int> task) {
  const auto cells = static_cast<Eigen::Index>(set.layers * set.experts);
  const double scale = 1.0 / std::sqrt(static_cast<double>(set.layers));
  std::map<int, std::vector<std::size_t>> tasks;
  for (std::size_t i = 0; i < task.size(); ++i)
    if (task[i] >= 0) tasks[task[i]].push_back(i);

  CellSums all(cells);
  PairPowers within;
  for (const auto& [name, prompts] : tasks) {
    Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> rows(
        static_cast<Eigen::Index>(prompts.size()), cells);
    for (std::size_t i = 0; i < prompts.size(); ++i)
      for (std::size_t l = 0; l < set.layers; ++l)
        Cosine{}.embed(set.row(prompts[i], l),
                       {rows.row(static_cast<Eigen::Index>(i)).data() + l * set.experts, set.experts});
    rows *= scale;
    CellSums own(cells);
    own.add(rows);
    const PairPowers pairs = own.pairs();
    within = {within.pairs + pairs.pairs, within.sum + pairs.sum, within.squares + pairs.squares};
    all.sum += own.sum;
    all.products += own.products;
    all.prompts += own.prompts;
    all.own += own.own;
    all.own_squares += own.own_squares;
  }
  const PairPowers total = all.pairs();
  const PairPowers across{total.pairs - within.pairs, total.sum - within.sum, total.squares - within.squares};
  if (!std::isfinite(total.sum)) throw invalid_argument("separation: expected finite similarities, got ", total.sum);

  Separation out{.within = within.moments(), .across = across.moments()};
  if (within.pairs > 0.0 && across.pairs > 0.0 && total.pairs > 2.0) {
    const double sd = std::sqrt((within.deviations() + across.deviations()) / (total.pairs - 2.0));
    if (sd > kNoSpread) out.cohens_d = (*out.within.mean - *out.across.mean) / sd;
  }
  return out;
}

}  // namespace detail

/// separation(similarity_matrix(set), task) up to rounding, by whichever way has less to add up. `task` is [prompts]; a
/// negative one is left out.
[[nodiscard]] inline Separation signature_separation(const SignatureView& set, std::span<const int> task) {
  if (task.size() > set.layers * set.experts) return detail::separation_by_cells(set, task);
  return separation(similarity_matrix(set), task);
}

}  // namespace routesig
