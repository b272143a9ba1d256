#include "routesig/classify/nearest_centroid.hpp"

#include <cmath>

#include "classify/tables.hpp"

namespace routesig {

double Euclidean::operator()(std::span<const double> a, std::span<const double> b) const {
  return -(detail::as_array(a) - detail::as_array(b)).square().sum();
}

double LayerCosine::operator()(std::span<const double> a, std::span<const double> b) const {
  if (layers == 0 || a.size() % layers != 0)
    throw invalid_argument("NearestCentroid: expected a number of layers that divides ", a.size(), " features, got ",
                           layers);
  const std::size_t width = a.size() / layers;
  double sum = 0.0;
  for (std::size_t l = 0; l < layers; ++l) {
    const auto x = detail::as_array(a.subspan(l * width, width)), y = detail::as_array(b.subspan(l * width, width));
    const double norms = std::sqrt(x.square().sum()) * std::sqrt(y.square().sum());
    if (norms > 0.0) sum += (x * y).sum() / norms;
  }
  return sum / static_cast<double>(layers);
}

}  // namespace routesig
