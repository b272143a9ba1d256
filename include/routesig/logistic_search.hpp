/// \file logistic_search.hpp
/// The searches behind LogisticRegression: several on one table, which is read once for a step of all of them.
///
///     std::vector<detail::LogisticSearch*> searches = ...;      // one a fold or penalty
///     detail::search_together(x, searches);
///     use(searches[0]->weights(), searches[0]->intercepts());
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "routesig/features.hpp"
#include "routesig/interrupt.hpp"
#include "routesig/lbfgs.hpp"
#include "routesig/row_products.hpp"

namespace routesig::detail {

/// Scores of classes = contrasts x (classes - 1 free scores): for two classes (0, score); else orthonormal columns that
/// sum to zero (Helmert), where the penalty keeps the weights anyway.
[[nodiscard]] inline Table class_contrasts(std::size_t classes) {
  const auto n = static_cast<Eigen::Index>(classes);
  Table out = Table::Zero(n, n - 1);
  if (n == 2) out(1, 0) = 1.0;
  for (Eigen::Index k = 0; n > 2 && k + 1 < n; ++k) {
    const double norm = std::sqrt(static_cast<double>((k + 1) * (k + 2)));
    out.col(k).head(k + 1).setConstant(1.0 / norm);
    out(k + 1, k) = -static_cast<double>(k + 1) / norm;
  }
  return out;
}

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

/// Rows that stay in the cache between their two uses; whole tiles.
inline constexpr std::size_t kRowBlock = 48;
static_assert(kRowBlock % kDotTile == 0);

/// Rows of the table in one piece of work: whole blocks, 16 pieces or fewer, whatever the number of threads.
[[nodiscard]] inline std::size_t rows_a_piece(std::size_t rows) {
  return std::max<std::size_t>(1, (rows + 16 * kRowBlock - 1) / (16 * kRowBlock)) * kRowBlock;
}

/// What a piece of rows adds up.
struct LogisticSums {
  SideBySide products;       // [columns, free scores of all searches]
  Eigen::VectorXd totals;    // [free scores of all searches]
  std::vector<double> loss;  // [searches]
};

/// One pass over rows [begin, end); `at` [searches + 1] says where each search's free scores begin.
inline void add_piece(const Features& x, std::size_t begin, std::size_t end, std::span<LogisticSearch* const> searches,
                      std::span<const Eigen::Index> at, const SideBySide& weights, const Eigen::VectorXd& offsets,
                      LogisticSums& sums) {
  sums.products = SideBySide(x.columns, weights.vectors);
  sums.totals.setZero(offsets.size());
  sums.loss.assign(searches.size(), 0.0);
  SideBySide free(kRowBlock, weights.vectors);
  for (std::size_t first = begin; first < end; first += kRowBlock) {
    interruption_point();
    const std::size_t count = std::min(kRowBlock, end - first);
    row_dots(x, first, count, weights, free);
    auto scores = free.values.topLeftCorner(static_cast<Eigen::Index>(count), offsets.size());
    scores.rowwise() += offsets.transpose();
    for (std::size_t s = 0; s < searches.size(); ++s)
      sums.loss[s] += searches[s]->residuals(first, scores.middleCols(at[s], at[s + 1] - at[s]));
    sums.totals += scores.colwise().sum().transpose();
    add_rows(x, first, count, free, sums.products);
  }
}

/// One step of every search.
inline void step_together(const Features& x, std::span<LogisticSearch* const> searches) {
  std::vector<Eigen::Index> at{0};
  for (const LogisticSearch* one : searches) at.push_back(at.back() + static_cast<Eigen::Index>(one->scores()));
  SideBySide weights(x.columns, static_cast<std::size_t>(at.back()));
  Eigen::VectorXd offsets(at.back());
  const auto each = [&](const auto& body) {
    parallel_for(searches.size(), 1, [&](std::size_t s, std::size_t) { body(s, at[s], at[s + 1] - at[s]); });
  };
  each([&](std::size_t s, Eigen::Index first, Eigen::Index count) {
    searches[s]->write_query(weights.values.middleCols(first, count), offsets.segment(first, count));
  });
  const std::size_t grain = rows_a_piece(x.rows);
  std::vector<LogisticSums> pieces((x.rows + grain - 1) / grain);
  parallel_for(x.rows, grain, [&](std::size_t first, std::size_t end) {
    add_piece(x, first, end, searches, at, weights, offsets, pieces[first / grain]);
  });
  SideBySide& products = pieces.front().products;
  parallel_for(x.columns, 128, [&](std::size_t first, std::size_t end) {
    const auto middle = [&](SideBySide& of) {
      return of.values.middleRows(static_cast<Eigen::Index>(first), static_cast<Eigen::Index>(end - first));
    };
    for (std::size_t p = 1; p < pieces.size(); ++p) middle(products) += middle(pieces[p].products);
  });
  each([&](std::size_t s, Eigen::Index first, Eigen::Index count) {
    double loss = 0.0;
    Eigen::VectorXd totals = Eigen::VectorXd::Zero(count);
    for (const LogisticSums& piece : pieces) {
      loss += piece.loss[s];
      totals += piece.totals.segment(first, count);
    }
    searches[s]->tell(loss, products.values.middleCols(first, count), totals);
  });
}

/// Until every search is done.
inline void search_together(const Features& x, std::vector<LogisticSearch*> searches) {
  while (true) {
    std::erase_if(searches, [](const LogisticSearch* one) { return one->done(); });
    if (searches.empty()) return;
    step_together(x, searches);
  }
}

}  // namespace routesig::detail
