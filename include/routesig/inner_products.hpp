/// \file inner_products.hpp
/// All inner products between the rows of two matrices, in double or single precision.
///
///     const routesig::PackedRows<double> x(rows, depth, [&](std::size_t row, std::span<double> out) {
///       std::ranges::copy(values.subspan(row * depth, depth), out.begin());
///     });
///     routesig::inner_products(x, x, /*scale=*/1.0, std::span(products));       // products[i, j] = x_i . x_j
///
/// The rows are kept in panels as wide as a vector register, so that one register tile needs no shuffles. A product is
/// cut into square tiles that fit the second-level cache; tiles are assigned to threads, the order of the sums within
/// one is fixed: same bytes on any number of threads. Where both sides are the same object only half of the tiles are
/// computed, and each is written twice.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <vector>

#include "routesig/error.hpp"
#include "routesig/parallel.hpp"

namespace routesig {
namespace detail {

// A register tile is three vectors of rows by kTileColumns columns; its sums, the rows and one column fill the
// registers.
#if defined(__AVX512F__)
inline constexpr std::size_t kVectorBytes = 64, kTileColumns = 8;
#elif defined(__AVX__)
inline constexpr std::size_t kVectorBytes = 32, kTileColumns = 4;
#else
inline constexpr std::size_t kVectorBytes = 16, kTileColumns = 2;
#endif

template <typename Scalar>
inline constexpr std::size_t kLanes = kVectorBytes / sizeof(Scalar);

/// Panels side by side in one register tile.
inline constexpr std::size_t kTilePanels = 3;

/// Rows and columns of a cache tile, a multiple of every register tile: the sums of the large one and a depth block of
/// its rows take less than 512 KiB; few rows are cut finer, so that every thread gets some.
inline constexpr std::size_t kTile = 144, kSmallTile = 48;

/// Values of a row that one pass over a cache tile reads. In single precision the sums of every block are added up in
/// double precision, so blocks are short: 64 products keep the error of a mean of cosines far below 1e-6.
template <typename Scalar>
inline constexpr std::size_t kDepthBlock = std::same_as<Scalar, float> ? 64 : 256;

}  // namespace detail

/// The rows of a matrix, packed for `inner_products`; rows beyond the last are zero.
template <std::floating_point Scalar>
class PackedRows {
 public:
  /// `fill(row, out)` writes the `depth` values of one row to a std::span<double>, which is zero before.
  template <typename Fill>
  PackedRows(std::size_t rows, std::size_t depth, const Fill& fill)
      : rows_(rows), depth_(depth), panels_((rows + kRowsOfTile - 1) / kRowsOfTile * detail::kTilePanels) {
    values_.reset(static_cast<Scalar*>(::operator new(panels_ * depth * kWidth * sizeof(Scalar), kAlignment)));
    parallel_for(panels_, 2, [&](std::size_t begin, std::size_t end) {
      std::vector<double> unpacked(kWidth * depth_);  // [width, depth]
      for (std::size_t p = begin; p < end; ++p) {
        std::ranges::fill(unpacked, 0.0);
        for (std::size_t i = 0; i < kWidth && p * kWidth + i < rows_; ++i)
          fill(p * kWidth + i, std::span(unpacked).subspan(i * depth_, depth_));
        Scalar* const to = values_.get() + p * depth_ * kWidth;
        for (std::size_t k = 0; k < depth_; ++k)
          for (std::size_t i = 0; i < kWidth; ++i) to[k * kWidth + i] = static_cast<Scalar>(unpacked[i * depth_ + k]);
      }
    });
  }

  [[nodiscard]] std::size_t rows() const noexcept { return rows_; }
  [[nodiscard]] std::size_t depth() const noexcept { return depth_; }
  /// Panels of `width` rows: [panels, depth, width].
  [[nodiscard]] const Scalar* panel(std::size_t index) const noexcept {
    return values_.get() + index * depth_ * kWidth;
  }

  static constexpr std::size_t kWidth = detail::kLanes<Scalar>;
  static constexpr std::size_t kRowsOfTile = kWidth * detail::kTilePanels;

 private:
  static constexpr std::align_val_t kAlignment{detail::kVectorBytes};
  struct Delete {
    void operator()(Scalar* values) const noexcept { ::operator delete(values, kAlignment); }
  };

  std::size_t rows_, depth_, panels_;
  std::unique_ptr<Scalar[], Delete> values_;
};

namespace detail {

/// The sums of one column with three panels of rows. Named members: an array of them would live in memory, not in
/// registers, and cost more than half of the speed.
template <typename Scalar>
struct ColumnSums {
  using Vector [[gnu::vector_size(kVectorBytes)]] = Scalar;
  Vector first{}, second{}, third{};

  [[gnu::always_inline]] void add(const Vector& a, const Vector& b, const Vector& c, Scalar column) noexcept {
    first += a * column;
    second += b * column;
    third += c * column;
  }
  [[gnu::always_inline]] void add_to(double* sums) const noexcept {
    constexpr std::size_t kWidth = kLanes<Scalar>;
    std::array<Scalar, 3 * kWidth> values;
    std::memcpy(values.data(), &first, kVectorBytes);
    std::memcpy(values.data() + kWidth, &second, kVectorBytes);
    std::memcpy(values.data() + 2 * kWidth, &third, kVectorBytes);
    for (std::size_t i = 0; i < values.size(); ++i) sums[i] += static_cast<double>(values[i]);
  }
};

/// sums[column, row] += the products of three panels' rows with `kTileColumns` columns, over `depth` values.
template <typename Scalar>
void register_tile(const std::array<const Scalar*, kTilePanels>& rows, const Scalar* columns, std::size_t depth,
                   double* sums, std::size_t stride) {
  constexpr std::size_t kWidth = kLanes<Scalar>;
  ColumnSums<Scalar> c0, c1, c2, c3, c4, c5, c6, c7;
  for (std::size_t k = 0; k < depth; ++k) {
    typename ColumnSums<Scalar>::Vector a, b, c;
    std::memcpy(&a, rows[0] + k * kWidth, kVectorBytes);
    std::memcpy(&b, rows[1] + k * kWidth, kVectorBytes);
    std::memcpy(&c, rows[2] + k * kWidth, kVectorBytes);
    const Scalar* const column = columns + k * kWidth;
    c0.add(a, b, c, column[0]);
    c1.add(a, b, c, column[1]);
    if constexpr (kTileColumns >= 4) {
      c2.add(a, b, c, column[2]);
      c3.add(a, b, c, column[3]);
    }
    if constexpr (kTileColumns >= 8) {
      c4.add(a, b, c, column[4]);
      c5.add(a, b, c, column[5]);
      c6.add(a, b, c, column[6]);
      c7.add(a, b, c, column[7]);
    }
  }
  c0.add_to(sums);
  c1.add_to(sums + stride);
  if constexpr (kTileColumns >= 4) {
    c2.add_to(sums + 2 * stride);
    c3.add_to(sums + 3 * stride);
  }
  if constexpr (kTileColumns >= 8) {
    c4.add_to(sums + 4 * stride);
    c5.add_to(sums + 5 * stride);
    c6.add_to(sums + 6 * stride);
    c7.add_to(sums + 7 * stride);
  }
}

/// sums [size columns, size rows] = the products of a's rows from `first_row` with b's rows from `first_column`.
template <typename Scalar>
void cache_tile(const PackedRows<Scalar>& a, const PackedRows<Scalar>& b, std::size_t first_row,
                std::size_t first_column, std::size_t size, bool symmetric, std::span<double> sums) {
  constexpr std::size_t kWidth = kLanes<Scalar>, kStep = PackedRows<Scalar>::kRowsOfTile;
  std::ranges::fill(sums, 0.0);
  const std::size_t last_row = std::min(first_row + size, a.rows());
  const std::size_t last_column = std::min(first_column + size, b.rows());
  for (std::size_t k = 0; k < a.depth(); k += kDepthBlock<Scalar>) {
    const std::size_t depth = std::min(kDepthBlock<Scalar>, a.depth() - k);
    for (std::size_t column = first_column; column < last_column; column += kTileColumns) {
      const Scalar* const columns = b.panel(column / kWidth) + k * kWidth + column % kWidth;
      for (std::size_t row = first_row; row < last_row; row += kStep) {
        if (symmetric && row + kStep <= column) continue;  // above the diagonal
        std::array<const Scalar*, kTilePanels> rows;
        for (std::size_t p = 0; p < kTilePanels; ++p) rows[p] = a.panel(row / kWidth + p) + k * kWidth;
        register_tile<Scalar>(rows, columns, depth, sums.data() + (column - first_column) * size + (row - first_row),
                              size);
      }
    }
  }
}

}  // namespace detail

/// out[i, j] = scale * (row i of a) . (row j of b): [a.rows(), b.rows()], row-major.
template <std::floating_point Scalar>
void inner_products(const PackedRows<Scalar>& a, const PackedRows<Scalar>& b, double scale, std::span<Scalar> out) {
  if (a.depth() != b.depth() || out.size() != a.rows() * b.rows())
    throw invalid_argument("inner_products: expected rows of ", a.depth(), " values and room for ", a.rows() * b.rows(),
                           " results, got ", b.depth(), " and ", out.size());
  const bool symmetric = &a == &b;
  const std::size_t size = std::max(a.rows(), b.rows()) < 4 * detail::kTile ? detail::kSmallTile : detail::kTile;
  std::vector<std::array<std::size_t, 2>> tiles;  // first row, first column
  for (std::size_t i = 0; i < a.rows(); i += size)
    for (std::size_t j = 0; j < (symmetric ? i + 1 : b.rows()); j += size) tiles.push_back({i, j});

  parallel_for(tiles.size(), 1, [&](std::size_t begin, std::size_t end) {
    std::vector<double> sums(size * size);
    for (std::size_t t = begin; t < end; ++t) {
      const auto [row, column] = tiles[t];
      detail::cache_tile(a, b, row, column, size, symmetric, sums);
      const std::size_t last_row = std::min(row + size, a.rows()), last_column = std::min(column + size, b.rows());
      const auto sum = [&](std::size_t i, std::size_t j) {
        return static_cast<Scalar>(scale * sums[(j - column) * size + (i - row)]);
      };
      for (std::size_t i = row; i < last_row; ++i)
        for (std::size_t j = column; j < (symmetric ? std::min(i + 1, last_column) : last_column); ++j)
          out[i * b.rows() + j] = sum(i, j);
      if (!symmetric) continue;
      for (std::size_t j = column; j < last_column; ++j)  // the mirror image, along its rows
        for (std::size_t i = std::max(row, j + 1); i < last_row; ++i) out[j * b.rows() + i] = sum(i, j);
    }
  });
}

}  // namespace routesig
