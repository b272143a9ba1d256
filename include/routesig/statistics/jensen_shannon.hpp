/// \file jensen_shannon.hpp
/// A metric (metric.hpp) for `similarity` and its kin, from the Jensen-Shannon divergence.
///
///     const auto all = routesig::similarity_matrix(set, routesig::JensenShannon{});
#pragma once

#include <span>

namespace routesig {

/// 1 - the Jensen-Shannon divergence in bits, H((p + q)/2) - (H(p) + H(q))/2 (Lin, IEEE Trans. Inf. Theory 1991).
struct JensenShannon {
  double operator()(std::span<const double> a, std::span<const double> b) const;
};

}  // namespace routesig
