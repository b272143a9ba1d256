#include "classify/eigenpairs.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <utility>

#include "classify/row_products.hpp"
#include "classify/run_apart.hpp"
#include "routesig/classify/features.hpp"
#include "routesig/parallel.hpp"
#include "routesig/random.hpp"

namespace routesig {
namespace detail {
namespace {

/// All pairs of a symmetric matrix; the caller may leave while those of a large one are looked for.
[[nodiscard]] EigenSolver decomposed(Eigen::MatrixXd matrix) {
  constexpr Eigen::Index kLong = 512;
  if (matrix.rows() < kLong) return EigenSolver(matrix);
  return run_apart([matrix = std::move(matrix)] { return EigenSolver(matrix); });
}

}  // namespace

Eigenpairs largest(const EigenSolver& all, Eigen::Index count) {
  return {.values = all.eigenvalues().tail(count).reverse(),
          .vectors = all.eigenvectors().rightCols(count).rowwise().reverse()};
}

namespace {

/// matrix times block, in pieces that do not depend on the number of threads.
[[nodiscard]] Eigen::MatrixXd symmetric_product(const Features& matrix, const Eigen::MatrixXd& block) {
  SideBySide right(matrix.columns, static_cast<std::size_t>(block.cols()));
  right.values.leftCols(block.cols()) = block;
  Eigen::MatrixXd out(block.rows(), block.cols());
  parallel_for(matrix.rows, 96, [&](std::size_t begin, std::size_t end) {
    SideBySide some(end - begin, right.vectors);
    row_dots(matrix, begin, end - begin, right, some);
    out.middleRows(static_cast<Eigen::Index>(begin), static_cast<Eigen::Index>(end - begin)) =
        some.values.leftCols(block.cols());
  });
  return out;
}

/// The orthonormal factor of `block` and, in `r`, the triangular one.
[[nodiscard]] Eigen::MatrixXd orthonormal(const Eigen::MatrixXd& block, Eigen::MatrixXd& r) {
  const Eigen::HouseholderQR<Eigen::MatrixXd> qr(block);
  r = qr.matrixQR().topRows(block.cols()).triangularView<Eigen::Upper>();
  return qr.householderQ() * Eigen::MatrixXd::Identity(block.rows(), block.cols());
}

/// Nothing where it did not converge within a third of the matrix's size.
[[nodiscard]] std::optional<Eigenpairs> block_lanczos(const Eigen::MatrixXd& matrix, Eigen::Index count) {
  constexpr double kResidual = 1e-12;
  const Eigen::Index size = matrix.rows(), width = std::max<Eigen::Index>(4, count + 2), most = size / 3;
  const Features rows({matrix.data(), static_cast<std::size_t>(matrix.size())}, static_cast<std::size_t>(size),
                      static_cast<std::size_t>(size));
  Random random(0, stream(Draws::plain, 0));  // where it starts; what it finds does not depend on it
  Eigen::MatrixXd block(size, width), r;
  for (double& x : block.reshaped()) x = random.normal();
  block = orthonormal(block, r);
  Eigen::MatrixXd basis(size, most + width), inner = Eigen::MatrixXd::Zero(most + width, most + width);
  Eigen::Index used = 0, next_check = 12 * width;
  while (used + width <= most) {
    basis.middleCols(used, width) = block;
    used += width;
    Eigen::MatrixXd image = symmetric_product(rows, block);
    for (int pass = 0; pass < 2; ++pass) {
      const Eigen::MatrixXd along = basis.leftCols(used).transpose() * image;
      image -= basis.leftCols(used) * along;
      inner.block(0, used - width, used, width) += along;
    }
    block = orthonormal(image, r);
    const double scale = inner.topLeftCorner(used, used).diagonal().cwiseAbs().maxCoeff();
    const bool exhausted = r.diagonal().cwiseAbs().minCoeff() <= 1e-13 * scale;
    if (used < next_check && !exhausted) continue;
    next_check = used + std::max<Eigen::Index>(width, used / 2);
    const EigenSolver solver = decomposed(inner.topLeftCorner(used, used).selfadjointView<Eigen::Upper>());
    const Eigenpairs top = largest(solver, count);
    const double residual = (r * top.vectors.bottomRows(width)).colwise().norm().maxCoeff();
    if (residual <= kResidual * std::abs(top.values[0]))
      return Eigenpairs{.values = top.values, .vectors = basis.leftCols(used) * top.vectors};
    if (exhausted) return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

Eigenpairs top_eigenpairs(const Eigen::MatrixXd& matrix, Eigen::Index count) {
  constexpr Eigen::Index kSmall = 192;
  if (matrix.rows() > kSmall && 12 * count <= matrix.rows())
    if (auto found = block_lanczos(matrix, count)) return std::move(*found);
  return largest(decomposed(matrix), count);
}

}  // namespace detail
}  // namespace routesig
