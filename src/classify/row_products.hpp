/// \file row_products.hpp
/// Products of a long table with a few vectors, which lie side by side so that one instruction serves several of them:
/// what iterative solvers spend their time on.
///
///     detail::SideBySide weights(x.columns, vectors);             // [columns, vectors, padded]
///     detail::row_dots(x, first, count, weights, out);            // out[i, k] = x_i . weights_k
///     detail::add_rows(x, first, count, factors, sums);           // sums_k += sum over i of factors[i, k] x_i
#pragma once

#include <Eigen/Core>
#include <cstddef>

#include "classify/tables.hpp"
#include "routesig/classify/features.hpp"

namespace routesig {
namespace detail {

#ifdef __AVX512F__
inline constexpr std::size_t kDotLanes = 8, kDotTile = 12;  // a tile of 12 x 2 registers of 8 numbers
#else
inline constexpr std::size_t kDotLanes = 4, kDotTile = 6;  // 6 x 2 registers of 4
#endif

/// Numbers [rows, vectors], each row padded with zeros to whole registers of 4.
struct SideBySide {
  Table values;             // [rows, width]
  std::size_t vectors = 0;  // of width that mean something

  SideBySide() = default;
  SideBySide(std::size_t rows, std::size_t count) : vectors(count) {
    values.setZero(static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>((count + 3) / 4 * 4));
  }
  [[nodiscard]] std::size_t width() const noexcept { return static_cast<std::size_t>(values.cols()); }
  [[nodiscard]] double* row(std::size_t i) noexcept { return values.data() + i * width(); }
  [[nodiscard]] const double* row(std::size_t i) const noexcept { return values.data() + i * width(); }
};

/// out.row(i) = x.row(first + i) times weights [columns, vectors], for i < count.
void row_dots(const Features& x, std::size_t first, std::size_t count, const SideBySide& weights, SideBySide& out);

/// sums [columns, vectors] += sum over i < count of x.row(first + i) factors.row(i).
void add_rows(const Features& x, std::size_t first, std::size_t count, const SideBySide& factors, SideBySide& sums);

}  // namespace detail
}  // namespace routesig
