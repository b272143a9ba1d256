/// \file features.hpp
/// A table of numbers, one row per prompt, as classifiers and projections see it; and its standardisation.
///
///     const routesig::Features x(set.values, set.size(), layers * experts);
///     const auto s = routesig::standardization(x, labels);       // of the rows whose label is not negative
///     const double z = (x.row(0)[7] - s.mean[7]) / s.scale[7];
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "routesig/error.hpp"
#include "routesig/parallel.hpp"

namespace routesig {

/// Values [rows, columns], row by row; owns nothing.
struct Features {
  std::span<const double> values;
  std::size_t rows = 0;
  std::size_t columns = 0;

  Features(std::span<const double> all, std::size_t n, std::size_t d) : values(all), rows(n), columns(d) {
    if (values.size() != rows * columns)
      throw invalid_argument("features: expected ", rows * columns, " values (", rows, " rows x ", columns,
                             " columns), got ", values.size());
  }

  [[nodiscard]] std::span<const double> row(std::size_t i) const noexcept {
    return values.subspan(i * columns, columns);
  }
};

/// The labels that occur, ascending, negative ones aside.
[[nodiscard]] inline std::vector<int> labels_present(std::span<const int> labels) {
  std::vector<int> out(labels.begin(), labels.end());
  std::ranges::sort(out);
  const auto repeated = std::ranges::unique(out);
  out.erase(repeated.begin(), repeated.end());
  std::erase_if(out, [](int label) { return label < 0; });
  return out;
}

/// Per column: mean and standard deviation (ddof 0); scale 1 where the column is constant.
struct Standardization {
  std::vector<double> mean;   // [columns]
  std::vector<double> scale;  // [columns]
};

namespace detail {

using Table = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Columns = Eigen::Map<Eigen::ArrayXd>;
using ConstColumns = Eigen::Map<const Eigen::ArrayXd>;

[[nodiscard]] inline ConstColumns as_array(std::span<const double> values) {
  return {values.data(), static_cast<Eigen::Index>(values.size())};
}
[[nodiscard]] inline Columns as_array(std::span<double> values) {
  return {values.data(), static_cast<Eigen::Index>(values.size())};
}

inline void check_labels(const char* who, const Features& x, std::span<const int> labels) {
  if (labels.size() != x.rows)
    throw invalid_argument(who, ": expected one label for each of ", x.rows, " rows, got ", labels.size());
}

inline void check_finite(const char* who, const Features& x) {
  for (std::size_t i = 0; i < x.rows; ++i)
    if (!as_array(x.row(i)).isFinite().all())
      throw invalid_argument(who, ": expected finite values, got NaN or infinity in row ", i);
}

}  // namespace detail

/// Of the rows whose label is not negative. A spread within the rounding of the mean counts as constant.
[[nodiscard]] inline Standardization standardization(const Features& x, std::span<const int> labels) {
  detail::check_labels("standardization", x, labels);
  Standardization out{.mean = std::vector<double>(x.columns, 0.0), .scale = std::vector<double>(x.columns, 1.0)};
  const auto rows = static_cast<double>(std::ranges::count_if(labels, [](int label) { return label >= 0; }));
  if (rows == 0.0) return out;
  auto mean = detail::as_array(std::span(out.mean));
  for (std::size_t i = 0; i < x.rows; ++i)
    if (labels[i] >= 0) mean += detail::as_array(x.row(i));
  mean /= rows;
  Eigen::ArrayXd squares = Eigen::ArrayXd::Zero(mean.size());
  for (std::size_t i = 0; i < x.rows; ++i)
    if (labels[i] >= 0) squares += (detail::as_array(x.row(i)) - mean).square();
  const Eigen::ArrayXd sd = (squares / rows).sqrt();
  const Eigen::ArrayXd rounding = rows * std::numeric_limits<double>::epsilon() * mean.abs();
  detail::as_array(std::span(out.scale)) = (sd > rounding).select(sd, 1.0);
  return out;
}

/// (x - mean) / scale for every row: [rows, columns].
[[nodiscard]] inline std::vector<double> standardized(const Features& x, const Standardization& by) {
  std::vector<double> out(x.values.size());
  parallel_for(x.rows, 64, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i)
      detail::as_array(std::span(out).subspan(i * x.columns, x.columns)) =
          (detail::as_array(x.row(i)) - detail::as_array(std::span(by.mean))) / detail::as_array(std::span(by.scale));
  });
  return out;
}

namespace detail {

/// a a^T, computed in pieces that do not depend on the number of threads.
[[nodiscard]] inline Eigen::MatrixXd gram(const Eigen::Ref<const Table>& a) {
  Eigen::MatrixXd out(a.rows(), a.rows());
  parallel_for(static_cast<std::size_t>(a.rows()), 64, [&](std::size_t begin, std::size_t end) {
    const auto first = static_cast<Eigen::Index>(begin), rows = static_cast<Eigen::Index>(end - begin);
    const auto own = a.middleRows(first, rows);
    out.block(first, 0, rows, first).noalias() = own * a.topRows(first).transpose();
    out.block(first, first, rows, rows).triangularView<Eigen::Lower>() = own * own.transpose();
  });
  out.triangularView<Eigen::StrictlyUpper>() = out.transpose();
  return out;
}

}  // namespace detail
}  // namespace routesig
