/// \file projection.hpp
/// Signatures on a plane: principal component analysis, centred and not scaled [paper figure 4].
///
///     const auto pca = routesig::pca(x, /*components=*/2);
///     const double share = pca.variance[0] / pca.total_variance;
///     plot(pca.points[2 * i], pca.points[2 * i + 1]);
///
/// Signs are fixed: the loading of largest size of each component is positive. With fewer rows than columns the work is
/// done on the rows' inner products (Gram matrix), else on the covariance.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "routesig/eigenpairs.hpp"
#include "routesig/features.hpp"

namespace routesig {

struct Pca {
  std::size_t columns = 0;
  std::size_t components = 0;      ///< as asked for, or the rank where that is smaller
  std::vector<double> mean{};      ///< [columns]
  std::vector<double> loadings{};  ///< [components, columns], orthonormal
  std::vector<double> variance{};  ///< [components], descending, ddof 1
  double total_variance = 0.0;     ///< over all columns, ddof 1
  std::vector<double> points{};    ///< [rows, components]

  /// Coordinates of other rows: [rows, components].
  [[nodiscard]] std::vector<double> transform(const Features& x) const {
    if (x.columns != columns) throw invalid_argument("pca: expected ", columns, " features, got ", x.columns);
    std::vector<double> out(x.rows * components);
    parallel_for(x.rows, 16, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i)
        for (std::size_t k = 0; k < components; ++k)
          out[i * components + k] = ((detail::as_array(x.row(i)) - detail::as_array(std::span(mean))) *
                                     detail::as_array(std::span(loadings).subspan(k * columns, columns)))
                                        .sum();
    });
    return out;
  }
};

/// The directions of largest variance. Components whose variance is rounding (rows in fewer dimensions) are left out.
[[nodiscard]] inline Pca pca(const Features& x, std::size_t components = 2) {
  detail::check_finite("pca", x);
  Pca out{.columns = x.columns, .mean = std::vector<double>(x.columns, 0.0)};
  if (x.rows < 2 || x.columns == 0) {
    if (x.rows == 1) std::ranges::copy(x.values, out.mean.begin());
    return out;
  }
  const auto n = static_cast<Eigen::Index>(x.rows), d = static_cast<Eigen::Index>(x.columns);
  const Eigen::Map<const detail::Table> values(x.values.data(), n, d);
  const Eigen::RowVectorXd mean = values.colwise().mean();
  std::ranges::copy(std::span(mean.data(), x.columns), out.mean.begin());
  const bool wide = n <= d;
  const detail::Table centred =
      wide ? detail::Table(values.rowwise() - mean) : detail::Table((values.rowwise() - mean).transpose());
  const Eigen::MatrixXd products = detail::gram(centred) / static_cast<double>(n - 1);
  out.total_variance = products.trace();

  const auto asked = std::min<Eigen::Index>(static_cast<Eigen::Index>(components), std::min(n, d));
  const detail::Eigenpairs top = detail::top_eigenpairs(products, asked);
  // What rounding makes of zero variance: of the products, and of the centring that went before.
  const double epsilon = std::numeric_limits<double>::epsilon() * static_cast<double>(std::max(n, d));
  const double rounding = std::max(epsilon * out.total_variance, epsilon * epsilon * mean.squaredNorm());
  while (static_cast<Eigen::Index>(out.components) < asked &&
         top.values[static_cast<Eigen::Index>(out.components)] > rounding)
    ++out.components;
  for (Eigen::Index k = 0; k < static_cast<Eigen::Index>(out.components); ++k) {
    Eigen::VectorXd loading = top.vectors.col(k);
    if (wide) loading = (centred.transpose() * loading).normalized().eval();
    Eigen::Index at = 0;
    loading.cwiseAbs().maxCoeff(&at);
    if (loading[at] < 0.0) loading = -loading;
    out.loadings.insert(out.loadings.end(), loading.data(), loading.data() + loading.size());
    out.variance.push_back(top.values[k]);
  }
  out.points = out.transform(x);
  return out;
}

}  // namespace routesig
