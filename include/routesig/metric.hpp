/// \file metric.hpp
/// How alike one layer of two signatures is: functors of two rows of shares. All give 1 for equal rows, 0 for rows
/// without an expert in common, and 0 where either row is all zero.
///
///     const double s = routesig::Hellinger{}(a.layer(0), b.layer(0));
///     const auto all = routesig::similarity_matrix(set, routesig::Overlap{});
///
/// `JensenShannon` is in statistics/jensen_shannon.hpp. A metric that is an inner product of transformed rows also has
/// `embed`, and matrices then cost one matrix product.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
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
    std::array<double, 8> squares_of{};  // in vector registers: with one sum a loop waits for every addition
    std::size_t i = 0;
    for (; i + squares_of.size() <= row.size(); i += squares_of.size())
      for (std::size_t lane = 0; lane < squares_of.size(); ++lane) squares_of[lane] += row[i + lane] * row[i + lane];
    for (; i < row.size(); ++i) squares_of[0] += row[i] * row[i];
    const double squares = std::accumulate(squares_of.begin(), squares_of.end(), 0.0);
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

}  // namespace routesig
