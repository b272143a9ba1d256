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

#include <cstddef>
#include <vector>

#include "routesig/classify/features.hpp"

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
  [[nodiscard]] std::vector<double> transform(const Features& x) const;
};

/// The directions of largest variance. Components whose variance is rounding (rows in fewer dimensions) are left out.
[[nodiscard]] Pca pca(const Features& x, std::size_t components = 2);

}  // namespace routesig
