/// \file eigenpairs.hpp
/// The few largest eigenvalues of a symmetric matrix, and their vectors.
///
///     const auto top = detail::top_eigenpairs(covariance, 2);
///     use(top.values[0], top.vectors.col(0));
///
/// Small matrices are decomposed whole. Large ones by block Lanczos with full reorthogonalisation (Golub and Van Loan,
/// section 10.3) until |A v - l v| <= 1e-12 l_1; where that does not come soon, whole after all.
#pragma once

#include <Eigen/Eigenvalues>
#include <Eigen/QR>

namespace routesig {
namespace detail {

struct Eigenpairs {
  Eigen::VectorXd values;   // descending
  Eigen::MatrixXd vectors;  // [size, pairs]
};

using EigenSolver = Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>;

/// The largest `count` of all pairs that Eigen found.
[[nodiscard]] Eigenpairs largest(const EigenSolver& all, Eigen::Index count);

/// `matrix` is symmetric; count <= its size.
[[nodiscard]] Eigenpairs top_eigenpairs(const Eigen::MatrixXd& matrix, Eigen::Index count);

}  // namespace detail
}  // namespace routesig
