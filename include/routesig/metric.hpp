/// \file metric.hpp
/// How alike one layer of two signatures is: functors of two rows of shares. All give 1 for equal rows, 0 for rows
/// without an expert in common, and 0 where either row is all zero.
///
///     const double s = routesig::Hellinger{}(a.layer(0), b.layer(0));
///     const auto all = routesig::similarity_matrix(set, routesig::JensenShannon{});
///
/// A metric that is an inner product of transformed rows also has `embed`, and matrices then cost one matrix product.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <numbers>
#include <numeric>
#include <span>

namespace routesig {

template <typename M>
concept Metric = requires(const M& metric, std::span<const double> row) {
  { metric(row, row) } -> std::convertible_to<double>;
};

/// metric(a, b) equals the inner product of embed(a) and embed(b).
template <typename M>
concept InnerProductMetric = Metric<M> && requires(const M& metric, std::span<const double> row,
                                                   std::span<double> out) { metric.embed(row, out); };

/// a.b / (|a| |b|) [paper eq. 5].
struct Cosine {
  double operator()(std::span<const double> a, std::span<const double> b) const {
    double ab = 0.0, aa = 0.0, bb = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      ab += a[i] * b[i];
      aa += a[i] * a[i];
      bb += b[i] * b[i];
    }
    return aa > 0.0 && bb > 0.0 ? ab / (std::sqrt(aa) * std::sqrt(bb)) : 0.0;
  }

  void embed(std::span<const double> row, std::span<double> out) const {
    const Eigen::Map<const Eigen::ArrayXd> values(row.data(), static_cast<Eigen::Index>(row.size()));
    const double squares = values.square().sum();  // in vector registers: a plain loop waits for every sum
    const double scale = squares > 0.0 ? 1.0 / std::sqrt(squares) : 0.0;
    std::ranges::transform(row, out.begin(), [scale](double x) { return x * scale; });
  }
};

/// Hellinger affinity, sum sqrt(p q) = 1 - H^2 with H the Hellinger distance (Bhattacharyya's coefficient, 1943).
struct Hellinger {
  double operator()(std::span<const double> a, std::span<const double> b) const {
    double sum = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += std::sqrt(a[i]) * std::sqrt(b[i]);
    return sum;
  }

  void embed(std::span<const double> row, std::span<double> out) const {
    std::ranges::transform(row, out.begin(), [](double x) { return std::sqrt(x); });
  }
};

/// Overlap, sum min(p, q) = 1 - the total variation distance.
struct Overlap {
  double operator()(std::span<const double> a, std::span<const double> b) const {
    double sum = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += std::min(a[i], b[i]);
    return sum;
  }
};

/// 1 - the Jensen-Shannon divergence in bits, H((p + q)/2) - (H(p) + H(q))/2 (Lin, IEEE Trans. Inf. Theory 1991).
struct JensenShannon {
  double operator()(std::span<const double> a, std::span<const double> b) const {
    using Row = Eigen::Map<const Eigen::ArrayXd>;
    const auto size = static_cast<Eigen::Index>(a.size());
    const Row p(a.data(), size), q(b.data(), size);
    if (!(p > 0.0).any() || !(q > 0.0).any()) return 0.0;
    const auto entropy = [](const auto& x) { return -(x > 0.0).select(x * x.max(kTiny).log(), 0.0).sum(); };
    const Eigen::ArrayXd mean = 0.5 * (p + q);
    const double divergence = (entropy(mean) - 0.5 * (entropy(p) + entropy(q))) / std::numbers::ln2;
    return std::clamp(1.0 - divergence, 0.0, 1.0);
  }

 private:
  static constexpr double kTiny = 1e-300;  // keeps the unused logarithm of 0 finite
};

}  // namespace routesig
