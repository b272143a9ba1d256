/// \file tables.hpp
/// Numbers as Eigen sees them: tables row by row, and spans as arrays.
#pragma once

#include <Eigen/Core>
#include <span>

namespace routesig::detail {

using Table = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

[[nodiscard]] inline Eigen::Map<const Eigen::ArrayXd> as_array(std::span<const double> values) {
  return {values.data(), static_cast<Eigen::Index>(values.size())};
}
[[nodiscard]] inline Eigen::Map<Eigen::ArrayXd> as_array(std::span<double> values) {
  return {values.data(), static_cast<Eigen::Index>(values.size())};
}

/// a a^T, computed in pieces that do not depend on the number of threads.
[[nodiscard]] Eigen::MatrixXd gram(const Eigen::Ref<const Table>& a);

}  // namespace routesig::detail
