/// \file similarity.hpp
/// How alike two signatures are: the mean over layers of a metric between their rows [paper eq. 5].
///
///     const double s = routesig::similarity(a, b);                    // cosine
///     const auto all = routesig::similarity_matrix(set);              // [prompts, prompts], row by row
///
/// A metric is a functor of two layers' rows. One that is an inner product of transformed rows also has `embed`, and
/// matrices then cost one matrix product.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <span>
#include <vector>

#include "routesig/parallel.hpp"
#include "routesig/signature.hpp"

namespace routesig {

template <typename M>
concept Metric = requires(const M& metric, std::span<const double> row) {
  { metric(row, row) } -> std::convertible_to<double>;
};

/// metric(a, b) equals the inner product of embed(a) and embed(b).
template <typename M>
concept InnerProductMetric = Metric<M> && requires(const M& metric, std::span<const double> row,
                                                   std::span<double> out) { metric.embed(row, out); };

/// a.b / (|a| |b|); 0 where either is all zero.
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
    double squares = 0.0;
    for (const double x : row) squares += x * x;
    const double scale = squares > 0.0 ? 1.0 / std::sqrt(squares) : 0.0;
    std::ranges::transform(row, out.begin(), [scale](double x) { return x * scale; });
  }
};

/// Signatures as the similarity functions see them: values [prompts, layers, experts], row-major.
struct SignatureView {
  std::span<const double> values;
  std::size_t prompts = 0;
  std::size_t layers = 0;
  std::size_t experts = 0;

  SignatureView(std::span<const double> all, std::size_t n, std::size_t l, std::size_t e)
      : values(all), prompts(n), layers(l), experts(e) {
    if (values.size() != prompts * layers * experts)
      throw invalid_argument("similarity: expected ", prompts * layers * experts, " values (", prompts, " prompts x ",
                             layers, " layers x ", experts, " experts), got ", values.size());
  }
  SignatureView(const SignatureSet<double>& set)  // NOLINT(google-explicit-constructor): a set is such a view
      : SignatureView(set.values, set.size(), static_cast<std::size_t>(set.layers),
                      static_cast<std::size_t>(set.experts)) {}

  [[nodiscard]] std::span<const double> row(std::size_t prompt, std::size_t layer) const noexcept {
    return values.subspan((prompt * layers + layer) * experts, experts);
  }
};

namespace detail {

inline void check_same_shape(const SignatureView& a, const SignatureView& b) {
  if (a.layers != b.layers || a.experts != b.experts)
    throw invalid_argument("similarity: expected ", a.layers, " layers x ", a.experts, " experts, got ", b.layers,
                           " x ", b.experts);
}

using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// The embedded rows of layers [first, first + count): [prompts, count * experts].
template <InnerProductMetric M>
[[nodiscard]] RowMajor embedded(const SignatureView& set, const M& metric, std::size_t first, std::size_t count) {
  RowMajor out(static_cast<Eigen::Index>(set.prompts), static_cast<Eigen::Index>(count * set.experts));
  parallel_for(set.prompts, 64, [&](std::size_t begin, std::size_t end) {
    for (std::size_t p = begin; p < end; ++p)
      for (std::size_t l = 0; l < count; ++l)
        metric.embed(set.row(p, first + l), {out.data() + (p * count + l) * set.experts, set.experts});
  });
  return out;
}

/// Rows of a product that one piece of work computes: fixed, so that results do not depend on the thread count.
inline constexpr std::size_t kRowsAPiece = 128;

/// out = scale * a b^T. With `symmetric` (a is b) the part above the diagonal is mirrored instead of computed.
inline void product(const RowMajor& a, const RowMajor& b, double scale, bool symmetric, Eigen::Map<RowMajor> out) {
  parallel_for(static_cast<std::size_t>(a.rows()), kRowsAPiece, [&](std::size_t begin, std::size_t end) {
    const auto first = static_cast<Eigen::Index>(begin), rows = static_cast<Eigen::Index>(end - begin);
    const Eigen::Index columns = symmetric ? first + rows : b.rows();
    out.block(first, 0, rows, columns).noalias() = scale * (a.middleRows(first, rows) * b.topRows(columns).transpose());
  });
  if (symmetric) out.triangularView<Eigen::StrictlyUpper>() = out.transpose();
}

/// out[i, j] = mean over layers [first, first + count) of metric(a_i, b_j).
template <Metric M>
void similarity_block(const SignatureView& a, const SignatureView& b, bool symmetric, const M& metric,
                      std::size_t first, std::size_t count, std::span<double> out) {
  const double scale = count > 0 ? 1.0 / static_cast<double>(count) : 0.0;
  if constexpr (InnerProductMetric<M>) {
    const RowMajor x = embedded(a, metric, first, count);
    const Eigen::Map<RowMajor> result(out.data(), static_cast<Eigen::Index>(a.prompts),
                                      static_cast<Eigen::Index>(b.prompts));
    if (symmetric)
      product(x, x, scale, true, result);
    else
      product(x, embedded(b, metric, first, count), scale, false, result);
  } else {
    parallel_for(a.prompts, 1, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i)
        for (std::size_t j = symmetric ? i : 0; j < b.prompts; ++j) {
          double sum = 0.0;
          for (std::size_t l = first; l < first + count; ++l) sum += metric(a.row(i, l), b.row(j, l));
          out[i * b.prompts + j] = sum * scale;
          if (symmetric) out[j * b.prompts + i] = sum * scale;
        }
    });
  }
}

}  // namespace detail

/// Mean over layers of the metric between two signatures.
template <Metric M = Cosine>
[[nodiscard]] double similarity(const Signature<double>& a, const Signature<double>& b, const M& metric = {}) {
  if (a.layers != b.layers || a.experts != b.experts)
    throw invalid_argument("similarity: expected ", a.layers, " layers x ", a.experts, " experts, got ", b.layers,
                           " x ", b.experts);
  double sum = 0.0;
  for (int l = 0; l < a.layers; ++l) sum += metric(a.layer(l), b.layer(l));
  return a.layers > 0 ? sum / a.layers : 0.0;
}

/// Every pair of prompts: [prompts, prompts], row-major, symmetric.
template <Metric M = Cosine>
[[nodiscard]] std::vector<double> similarity_matrix(const SignatureView& set, const M& metric = {}) {
  std::vector<double> out(set.prompts * set.prompts);
  detail::similarity_block(set, set, true, metric, 0, set.layers, out);
  return out;
}

/// Every prompt of `a` with every prompt of `b`: [a.prompts, b.prompts], row-major.
template <Metric M = Cosine>
[[nodiscard]] std::vector<double> similarity_matrix(const SignatureView& a, const SignatureView& b,
                                                    const M& metric = {}) {
  detail::check_same_shape(a, b);
  std::vector<double> out(a.prompts * b.prompts);
  detail::similarity_block(a, b, false, metric, 0, a.layers, out);
  return out;
}

/// Layer by layer: [layers, prompts, prompts], row-major; its mean over layers is `similarity_matrix`.
template <Metric M = Cosine>
[[nodiscard]] std::vector<double> similarity_layers(const SignatureView& set, const M& metric = {}) {
  const std::size_t size = set.prompts * set.prompts;
  std::vector<double> out(set.layers * size);
  for (std::size_t l = 0; l < set.layers; ++l)
    detail::similarity_block(set, set, true, metric, l, 1, std::span(out).subspan(l * size, size));
  return out;
}

/// Layer by layer for two sets: [layers, a.prompts, b.prompts], row-major.
template <Metric M = Cosine>
[[nodiscard]] std::vector<double> similarity_layers(const SignatureView& a, const SignatureView& b,
                                                    const M& metric = {}) {
  detail::check_same_shape(a, b);
  const std::size_t size = a.prompts * b.prompts;
  std::vector<double> out(a.layers * size);
  for (std::size_t l = 0; l < a.layers; ++l)
    detail::similarity_block(a, b, false, metric, l, 1, std::span(out).subspan(l * size, size));
  return out;
}

}  // namespace routesig
