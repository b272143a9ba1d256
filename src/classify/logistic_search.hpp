/// \file logistic_search.hpp
/// The searches behind LogisticRegression: several on one table, which is read once for a step of all of them.
///
///     std::vector<detail::LogisticSearch*> searches = ...;      // one a fold or penalty
///     detail::search_together(x, searches);
///     use(searches[0]->weights(), searches[0]->intercepts());
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "classify/lbfgs.hpp"
#include "classify/tables.hpp"
#include "routesig/classify/features.hpp"

namespace routesig {
namespace detail {

/// Scores of classes = contrasts x (classes - 1 free scores): for two classes (0, score); else orthonormal columns that
/// sum to zero (Helmert), where the penalty keeps the weights anyway.
[[nodiscard]] Table class_contrasts(std::size_t classes);

/// One penalised fit: L-BFGS over weights [free scores, columns] of moved and scaled columns, then intercepts.
class LogisticSearch {
 public:
  /// `target` [rows] is the class of each row, or -1; `penalty` is 1 / C.
  LogisticSearch(std::vector<int> target, std::size_t classes, Standardization by, double penalty, bool intercept,
                 LbfgsOptions options)
      : target_(std::move(target)),
        rows_(static_cast<double>(std::ranges::count_if(target_, [](int t) { return t >= 0; }))),
        contrasts_(class_contrasts(classes)),
        by_(std::move(by)),
        penalty_(penalty),
        intercept_(intercept),
        lbfgs_(std::vector<double>(scores() * (columns() + 1)), options) {}

  [[nodiscard]] std::size_t scores() const noexcept { return static_cast<std::size_t>(contrasts_.cols()); }
  [[nodiscard]] std::size_t columns() const noexcept { return by_.mean.size(); }
  [[nodiscard]] const Table& contrasts() const noexcept { return contrasts_; }
  [[nodiscard]] bool done() const noexcept { return scores() == 0 || lbfgs_.done(); }
  [[nodiscard]] bool converged() const noexcept { return scores() == 0 || lbfgs_.converged(); }
  [[nodiscard]] int iterations() const noexcept { return lbfgs_.iterations(); }

  [[nodiscard]] Eigen::Map<const Table> weights() const {
    return {lbfgs_.point().data(), static_cast<Eigen::Index>(scores()), static_cast<Eigen::Index>(columns())};
  }
  [[nodiscard]] Eigen::Map<const Eigen::VectorXd> intercepts() const {
    return {lbfgs_.point().data() + scores() * columns(), static_cast<Eigen::Index>(scores())};
  }

  /// What is multiplied with unmoved, unscaled rows [columns, scores], and what is then added.
  void write_query(Eigen::Ref<Table, 0, Eigen::OuterStride<>> across, Eigen::Ref<Eigen::VectorXd> offsets) const {
    Table rows = weights();
    rows.array().rowwise() /= as_array(std::span(by_.scale)).transpose();
    offsets = intercepts() - rows * as_array(std::span(by_.mean)).matrix();
    across = rows.transpose();
  }

  /// Turns free scores [count, scores] of rows from `first` on into residuals (p - 1{label}, as free scores see them),
  /// 0 for rows left out; returns the sum of -log p(label).
  [[nodiscard]] double residuals(std::size_t first, Eigen::Ref<Table, 0, Eigen::OuterStride<>> free) const {
    Eigen::ArrayXXd p = free * contrasts_.transpose();  // [count, classes]
    const Eigen::ArrayXd top = p.rowwise().maxCoeff();
    p.colwise() -= top;
    double loss = 0.0;
    for (Eigen::Index i = 0; i < p.rows(); ++i) {
      const int t = target_[first + static_cast<std::size_t>(i)];
      if (t >= 0) loss -= p(i, t);
    }
    p = p.exp();
    const Eigen::ArrayXd sums = p.rowwise().sum();
    const Eigen::ArrayXd logs = sums.log();
    p.colwise() /= sums;
    for (Eigen::Index i = 0; i < p.rows(); ++i) {
      const int t = target_[first + static_cast<std::size_t>(i)];
      if (t < 0) {
        p.row(i).setZero();
      } else {
        loss += logs[i];
        p(i, t) -= 1.0;
      }
    }
    free.noalias() = p.matrix() * contrasts_;
    return loss;
  }

  /// `sums` [columns, scores]: unmoved, unscaled rows times residuals; `totals` [scores]: residuals summed.
  void tell(double loss, const Eigen::Ref<const Table, 0, Eigen::OuterStride<>>& sums, const Eigen::VectorXd& totals) {
    const auto out = lbfgs_.gradient();
    Eigen::Map<Table> gradient(out.data(), sums.cols(), sums.rows());
    gradient = sums.transpose() - totals * as_array(std::span(by_.mean)).matrix().transpose();
    gradient.array().rowwise() /= as_array(std::span(by_.scale)).transpose();
    gradient += penalty_ * weights();
    gradient /= rows_;
    Eigen::Map<Eigen::VectorXd> free(out.data() + sums.size(), sums.cols());
    free.setZero();
    if (intercept_) free = totals / rows_;
    lbfgs_.tell((loss + 0.5 * penalty_ * weights().squaredNorm()) / rows_);
  }

 private:
  std::vector<int> target_;
  double rows_;
  Table contrasts_;  // [classes, scores]
  Standardization by_;
  double penalty_;
  bool intercept_;
  Lbfgs lbfgs_;
};

/// Until every search is done.
void search_together(const Features& x, std::vector<LogisticSearch*> searches);

}  // namespace detail
}  // namespace routesig
