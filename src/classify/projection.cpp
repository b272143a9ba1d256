#include "routesig/classify/projection.hpp"

#include <Eigen/Core>
#include <algorithm>
#include <limits>

#include "classify/eigenpairs.hpp"
#include "classify/tables.hpp"
#include "routesig/error.hpp"
#include "routesig/parallel.hpp"

namespace routesig {

std::vector<double> Pca::transform(const Features& x) const {
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

Pca pca(const Features& x, std::size_t components) {
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
