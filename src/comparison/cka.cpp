#include "routesig/comparison/cka.hpp"

#include <algorithm>
#include <cmath>

#include "routesig/error.hpp"
#include "routesig/inner_products.hpp"

namespace routesig {

std::vector<double> linear_kernel(std::span<const double> values, std::size_t n) {
  if (n == 0 ? !values.empty() : values.size() % n != 0)
    throw invalid_argument("cka: expected ", n, " rows of equal length, got ", values.size(), " values");
  const std::size_t features = n == 0 ? 0 : values.size() / n;
  const PackedRows<double> rows(n, features, [&](std::size_t row, std::span<double> out) {
    std::ranges::copy(values.subspan(row * features, features), out.begin());
  });
  std::vector<double> out(n * n);
  inner_products(rows, rows, 1.0, std::span(out));
  return out;
}

double unbiased_hsic(std::span<const double> k, std::span<const double> l, std::size_t n) {
  if (n < kFewestAligned || k.size() != n * n || l.size() != n * n)
    throw invalid_argument("cka: expected two kernels of ", kFewestAligned, " prompts or more, got ", n,
                           " prompts and kernels of ", k.size(), " and ", l.size(), " values");
  double trace = 0.0, sum_k = 0.0, sum_l = 0.0, product = 0.0;
  for (std::size_t i = 0; i < n; ++i) {
    double row_k = 0.0, row_l = 0.0;
    for (std::size_t j = 0; j < n; ++j) {
      if (i == j) continue;
      trace += k[i * n + j] * l[i * n + j];
      row_k += k[i * n + j];
      row_l += l[i * n + j];
    }
    sum_k += row_k;
    sum_l += row_l;
    product += row_k * row_l;
  }
  const auto m = static_cast<double>(n);
  return (trace + sum_k * sum_l / ((m - 1.0) * (m - 2.0)) - 2.0 * product / (m - 2.0)) / (m * (m - 3.0));
}

std::optional<double> unbiased_cka(std::span<const double> k, std::span<const double> l, std::size_t n) {
  if (n < kFewestAligned) return std::nullopt;
  const auto varies = [&](std::span<const double> kernel, double hsic) {
    double squares = 0.0;
    for (const double x : kernel) squares += x * x;
    return hsic > 1e-12 * squares / static_cast<double>(kernel.size());  // the rest is rounding
  };
  const double of_k = unbiased_hsic(k, k, n), of_l = unbiased_hsic(l, l, n);
  if (!varies(k, of_k) || !varies(l, of_l)) return std::nullopt;
  return unbiased_hsic(k, l, n) / (std::sqrt(of_k) * std::sqrt(of_l));
}

}  // namespace routesig
