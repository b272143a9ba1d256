/// \file similarity.hpp
/// How alike two signatures are: the mean over layers of a metric between their rows [paper eq. 5]. A layer in which
/// either prompt has no token with known routing is left out of the mean; where no layer is left there is no
/// similarity, and NaN stands for it.
///
///     const double s = routesig::similarity(a, b);                    // cosine
///     const auto all = routesig::similarity_matrix(set);              // [prompts, prompts], row by row
///
/// Metrics are those of metric.hpp or a functor of the caller's. `similarity_matrix<Cosine, float>` computes in single
/// precision (inner-product metrics only; errors below 1e-6).
#pragma once

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "routesig/inner_products.hpp"
#include "routesig/interrupt.hpp"
#include "routesig/metric.hpp"
#include "routesig/parallel.hpp"
#include "routesig/signature.hpp"

namespace routesig {

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
  /// Whether the prompt has a token with known routing in the layer.
  [[nodiscard]] bool known(std::size_t prompt, std::size_t layer) const noexcept {
    return !empty_row(row(prompt, layer));
  }
  /// Whether every prompt has, in layers [first, first + count).
  [[nodiscard]] bool complete(std::size_t first, std::size_t count) const noexcept {
    for (std::size_t p = 0; p < prompts; ++p)
      for (std::size_t l = first; l < first + count; ++l)
        if (!known(p, l)) return false;
    return true;
  }
  [[nodiscard]] bool complete() const noexcept { return complete(0, layers); }
};

namespace detail {

/// Which of layers [first, first + count) a prompt knows: bits, for all prompts of a set.
class KnownLayers {
 public:
  KnownLayers(const SignatureView& set, std::size_t first, std::size_t count)
      : words_((count + 63) / 64), bits_(set.prompts * words_) {
    for (std::size_t p = 0; p < set.prompts; ++p)
      for (std::size_t l = 0; l < count; ++l)
        if (set.known(p, first + l)) bits_[p * words_ + l / 64] |= std::uint64_t{1} << (l % 64);
  }
  /// How many layers prompt i of `a` and prompt j of `b` both know.
  [[nodiscard]] static int shared(const KnownLayers& a, std::size_t i, const KnownLayers& b, std::size_t j) noexcept {
    int count = 0;
    for (std::size_t w = 0; w < a.words_; ++w)
      count += std::popcount(a.bits_[i * a.words_ + w] & b.bits_[j * b.words_ + w]);
    return count;
  }

 private:
  std::size_t words_;
  std::vector<std::uint64_t> bits_;  // [prompts, words]
};

/// Turns means over `count` layers, unknown ones as 0, into means over the layers that both prompts know.
template <std::floating_point Scalar>
void leave_out_unknown(const SignatureView& a, const SignatureView& b, std::size_t first, std::size_t count,
                       std::span<Scalar> out) {
  if (a.complete(first, count) && b.complete(first, count)) return;
  const KnownLayers of_a(a, first, count), of_b(b, first, count);
  for (std::size_t i = 0; i < a.prompts; ++i)
    for (std::size_t j = 0; j < b.prompts; ++j) {
      const int shared = KnownLayers::shared(of_a, i, of_b, j);
      Scalar& mean = out[i * b.prompts + j];
      mean = shared > 0 ? mean * static_cast<Scalar>(count) / static_cast<Scalar>(shared)
                        : std::numeric_limits<Scalar>::quiet_NaN();
    }
}

inline void check_same_shape(const SignatureView& a, const SignatureView& b) {
  if (a.layers != b.layers || a.experts != b.experts)
    throw invalid_argument("similarity: expected ", a.layers, " layers x ", a.experts, " experts, got ", b.layers,
                           " x ", b.experts);
}

/// The embedded rows of layers [first, first + count), side by side.
template <std::floating_point Scalar, InnerProductMetric M>
[[nodiscard]] PackedRows<Scalar> embedded(const SignatureView& set, const M& metric, std::size_t first,
                                          std::size_t count) {
  return {set.prompts, count * set.experts, [&](std::size_t prompt, std::span<double> out) {
            for (std::size_t l = 0; l < count; ++l)
              metric.embed(set.row(prompt, first + l), out.subspan(l * set.experts, set.experts));
          }};
}

/// out[i, j] = mean over layers [first, first + count) of metric(a_i, b_j).
template <Metric M, std::floating_point Scalar>
void similarity_block(const SignatureView& a, const SignatureView& b, bool symmetric, const M& metric,
                      std::size_t first, std::size_t count, std::span<Scalar> out) {
  const double scale = count > 0 ? 1.0 / static_cast<double>(count) : 0.0;
  if constexpr (InnerProductMetric<M>) {
    const auto x = embedded<Scalar>(a, metric, first, count);
    if (symmetric)
      inner_products(x, x, scale, out);
    else
      inner_products(x, embedded<Scalar>(b, metric, first, count), scale, out);
  } else {
    static_assert(std::same_as<Scalar, double>, "single precision is for inner-product metrics");
    parallel_for(a.prompts, 1, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i)
        for (std::size_t j = symmetric ? i : 0; j < b.prompts; ++j) {
          if (j % 16 == 0) interruption_point();
          double sum = 0.0;
          for (std::size_t l = first; l < first + count; ++l) sum += metric(a.row(i, l), b.row(j, l));
          out[i * b.prompts + j] = sum * scale;
          if (symmetric) out[j * b.prompts + i] = sum * scale;
        }
    });
  }
  leave_out_unknown(a, b, first, count, out);
}

}  // namespace detail

/// Mean of the metric between two signatures over the layers that both know; NaN where there is none.
template <Metric M = Cosine>
[[nodiscard]] double similarity(const Signature<double>& a, const Signature<double>& b, const M& metric = {}) {
  if (a.layers != b.layers || a.experts != b.experts)
    throw invalid_argument("similarity: expected ", a.layers, " layers x ", a.experts, " experts, got ", b.layers,
                           " x ", b.experts);
  double sum = 0.0;
  int shared = 0;
  for (int l = 0; l < a.layers; ++l) {
    if (empty_row(a.layer(l)) || empty_row(b.layer(l))) continue;
    sum += metric(a.layer(l), b.layer(l));
    ++shared;
  }
  return shared > 0 ? sum / shared : std::numeric_limits<double>::quiet_NaN();
}

/// The four functions below, into memory of the caller's: `b` null for one set; [a.prompts, b.prompts], with a leading
/// axis of layers if `per_layer`.
template <Metric M, std::floating_point Scalar>
void similarity_into(const SignatureView& a, const SignatureView* b, bool per_layer, const M& metric,
                     std::span<Scalar> out) {
  const SignatureView& other = b != nullptr ? *b : a;
  detail::check_same_shape(a, other);
  const std::size_t size = a.prompts * other.prompts;
  if (out.size() != size * (per_layer ? a.layers : 1))
    throw invalid_argument("similarity: expected room for ", size * (per_layer ? a.layers : 1), " values, got ",
                           out.size());
  if (!per_layer) return detail::similarity_block(a, other, b == nullptr, metric, 0, a.layers, out);
  for (std::size_t l = 0; l < a.layers; ++l)
    detail::similarity_block(a, other, b == nullptr, metric, l, 1, out.subspan(l * size, size));
}

/// Every pair of prompts: [prompts, prompts], row-major, symmetric.
template <Metric M = Cosine, std::floating_point Scalar = double>
[[nodiscard]] std::vector<Scalar> similarity_matrix(const SignatureView& set, const M& metric = {}) {
  std::vector<Scalar> out(set.prompts * set.prompts);
  similarity_into(set, nullptr, false, metric, std::span(out));
  return out;
}

/// Every prompt of `a` with every prompt of `b`: [a.prompts, b.prompts], row-major.
template <Metric M = Cosine, std::floating_point Scalar = double>
[[nodiscard]] std::vector<Scalar> similarity_matrix(const SignatureView& a, const SignatureView& b,
                                                    const M& metric = {}) {
  std::vector<Scalar> out(a.prompts * b.prompts);
  similarity_into(a, &b, false, metric, std::span(out));
  return out;
}

/// Layer by layer: [layers, prompts, prompts], row-major; its mean over layers is `similarity_matrix`.
template <Metric M = Cosine, std::floating_point Scalar = double>
[[nodiscard]] std::vector<Scalar> similarity_layers(const SignatureView& set, const M& metric = {}) {
  std::vector<Scalar> out(set.layers * set.prompts * set.prompts);
  similarity_into(set, nullptr, true, metric, std::span(out));
  return out;
}

/// The cosines of one layer after another, in the same memory: what is computed from all layers without keeping them.
class LayerSimilarities {
 public:
  explicit LayerSimilarities(const SignatureView& set) : set_(set), values_(set.prompts * set.prompts) {}

  /// [prompts, prompts], until the next call.
  [[nodiscard]] std::span<const double> operator()(std::size_t layer) {
    detail::similarity_block(set_, set_, true, Cosine{}, layer, 1, std::span(values_));
    return values_;
  }

 private:
  SignatureView set_;
  std::vector<double> values_;
};

/// Layer by layer for two sets: [layers, a.prompts, b.prompts], row-major.
template <Metric M = Cosine, std::floating_point Scalar = double>
[[nodiscard]] std::vector<Scalar> similarity_layers(const SignatureView& a, const SignatureView& b,
                                                    const M& metric = {}) {
  std::vector<Scalar> out(a.layers * a.prompts * b.prompts);
  similarity_into(a, &b, true, metric, std::span(out));
  return out;
}

}  // namespace routesig
