/// \file features.hpp
/// A table of numbers, one row per prompt, as classifiers and projections see it; and its standardisation.
///
///     const routesig::Features x(set.values, set.size(), layers * experts);
///     const auto s = routesig::standardization(x, labels);       // of the rows whose label is not negative
///     const double z = (x.row(0)[7] - s.mean[7]) / s.scale[7];
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "routesig/error.hpp"

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
[[nodiscard]] std::vector<int> labels_present(std::span<const int> labels);

/// Per column: mean and standard deviation (ddof 0); scale 1 where the column is constant.
struct Standardization {
  std::vector<double> mean;   // [columns]
  std::vector<double> scale;  // [columns]
};

namespace detail {

void check_labels(const char* who, const Features& x, std::span<const int> labels);

void check_finite(const char* who, const Features& x);

}  // namespace detail

/// Of the rows whose label is not negative. A spread within the rounding of the mean counts as constant.
[[nodiscard]] Standardization standardization(const Features& x, std::span<const int> labels);

/// (x - mean) / scale for every row: [rows, columns].
[[nodiscard]] std::vector<double> standardized(const Features& x, const Standardization& by);

}  // namespace routesig
