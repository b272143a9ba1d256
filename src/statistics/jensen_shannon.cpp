#include "routesig/statistics/jensen_shannon.hpp"

#include <Eigen/Core>
#include <algorithm>
#include <numbers>

namespace routesig {

double JensenShannon::operator()(std::span<const double> a, std::span<const double> b) const {
  using Row = Eigen::Map<const Eigen::ArrayXd>;
  static constexpr double kTiny = 1e-300;  // keeps the unused logarithm of 0 finite
  const auto size = static_cast<Eigen::Index>(a.size());
  const Row p(a.data(), size), q(b.data(), size);
  if (!(p > 0.0).any() || !(q > 0.0).any()) return 0.0;
  const auto entropy = [](const auto& x) { return -(x > 0.0).select(x * x.max(kTiny).log(), 0.0).sum(); };
  const Eigen::ArrayXd mean = 0.5 * (p + q);
  const double divergence = (entropy(mean) - 0.5 * (entropy(p) + entropy(q))) / std::numbers::ln2;
  return std::clamp(1.0 - divergence, 0.0, 1.0);
}

}  // namespace routesig
