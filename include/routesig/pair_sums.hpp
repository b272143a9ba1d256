/// \file pair_sums.hpp
/// Sums over the pairs that share a label, for many labellings: the inner loop of the label permutation test.
///
///     const routesig::LowerPairs pairs(similarity, n);                       // [n, n], symmetric
///     const std::vector<double> sums = routesig::same_label_sums(pairs, labellings);   // [labellings.size()]
///
/// 64 labellings lie side by side. For four columns at a time, a nibble of each labelling says which of them share the
/// row's label, and picks the sum from a table of 16. The table is two AVX-512 registers and the choice one
/// instruction; elsewhere the compiler adds the four columns under a mask. Sums are in double, always in one order.
#pragma once

#ifdef __AVX512F__
#include <immintrin.h>
#endif

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

#include "routesig/error.hpp"
#include "routesig/labelling.hpp"
#include "routesig/parallel.hpp"

namespace routesig {

/// The part of a symmetric matrix below the diagonal, rows padded with zeros to whole blocks of four columns.
class LowerPairs {
 public:
  static constexpr std::size_t kBlock = 4;

  /// `matrix` is [n, n], row-major; only the part above the diagonal is read.
  LowerPairs(std::span<const double> matrix, std::size_t n)
      : n_(n), stride_((n + kBlock - 1) / kBlock * kBlock), values_(n * stride_) {
    if (matrix.size() != n * n)
      throw invalid_argument("permutation: expected a matrix of ", n, " x ", n, ", got ", matrix.size(), " values");
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < i; ++j) values_[i * stride_ + j] = matrix[j * n + i];
  }

  [[nodiscard]] std::size_t size() const noexcept { return n_; }
  [[nodiscard]] std::size_t blocks() const noexcept { return stride_ / kBlock; }
  /// Columns 4 block ... 4 block + 3 of row i.
  [[nodiscard]] const double* at(std::size_t i, std::size_t block) const noexcept {
    return values_.data() + i * stride_ + block * kBlock;
  }

 private:
  std::size_t n_, stride_;
  std::vector<double> values_;  // [n, stride]
};

namespace detail {

#if defined(__AVX512F__)
inline constexpr std::size_t kVectorBytes = 64;
#elif defined(__AVX__)
inline constexpr std::size_t kVectorBytes = 32;
#else
inline constexpr std::size_t kVectorBytes = 16;
#endif
using Doubles [[gnu::vector_size(kVectorBytes)]] = double;
using Bits [[gnu::vector_size(kVectorBytes)]] = long long;

inline constexpr std::size_t kWidth = kVectorBytes / sizeof(double);
inline constexpr std::size_t kVectors = Labellings::kLanes / kWidth;
using DoubleLanes = std::array<double, Labellings::kLanes>;

template <typename Vector, typename T>
[[nodiscard]] inline Vector load_lanes(const T* from) noexcept {
  Vector out;
  std::memcpy(&out, from, sizeof out);
  return out;
}

#ifdef __AVX512F__

/// 64 labellings, bit by bit. `Planes` bits hold a label.
template <std::size_t Planes>
class LabelLanes {
 public:
  explicit LabelLanes(std::size_t units) : rows_(units * Planes), blocks_((units + 3) / 4 * Planes) {}

  void assign(std::span<const Labellings::Lanes> labels) {
    std::ranges::fill(blocks_, BitLanes{});
    for (std::size_t i = 0; i < labels.size(); ++i)
      for (std::size_t plane = 0; plane < Planes; ++plane) {
        auto& row = rows_[i * Planes + plane];
        auto& block = blocks_[i / 4 * Planes + plane];
        const long long nibble = 1LL << (i % 4);
        for (std::size_t lane = 0; lane < Labellings::kLanes; ++lane) {
          row[lane] = -static_cast<long long>(labels[i][lane] >> plane & 1U);
          block[lane] |= row[lane] & nibble;
        }
      }
  }

  /// Adds the pairs of rows [first, last) to `sums`.
  void add(const LowerPairs& pairs, std::size_t first, std::size_t last, DoubleLanes& sums) const {
    Doubles local[kVectors];
    for (std::size_t v = 0; v < kVectors; ++v) local[v] = load_lanes<Doubles>(&sums[v * kWidth]);
    for (std::size_t block = 0; block * LowerPairs::kBlock < last; ++block) {
      Bits other[Planes][kVectors];
      for (std::size_t plane = 0; plane < Planes; ++plane)
        for (std::size_t v = 0; v < kVectors; ++v)
          other[plane][v] = load_lanes<Bits>(&blocks_[block * Planes + plane][v * kWidth]);
      for (std::size_t i = std::max(first, block * LowerPairs::kBlock + 1); i < last; ++i) {
        const Choices choices(pairs.at(i, block));
        const auto* const own = &rows_[i * Planes];
        for (std::size_t v = 0; v < kVectors; ++v) {
          Bits differ = load_lanes<Bits>(&own[0][v * kWidth]) ^ other[0][v];
          for (std::size_t plane = 1; plane < Planes; ++plane)
            differ |= load_lanes<Bits>(&own[plane][v * kWidth]) ^ other[plane][v];
          local[v] += choices(~differ);
        }
      }
    }
    for (std::size_t v = 0; v < kVectors; ++v) std::memcpy(&sums[v * kWidth], &local[v], sizeof local[v]);
  }

 private:
  /// What four columns add for each of the 16 choices among them.
  struct Choices {
    __m512d low, high;

    explicit Choices(const double* x) {
      const __m512d pair = _mm512_add_pd(_mm512_maskz_mov_pd(0xAA, _mm512_set1_pd(x[0])),
                                         _mm512_maskz_mov_pd(0xCC, _mm512_set1_pd(x[1])));
      low = _mm512_add_pd(pair, _mm512_maskz_mov_pd(0xF0, _mm512_set1_pd(x[2])));
      high = _mm512_add_pd(low, _mm512_set1_pd(x[3]));
    }
    Doubles operator()(const Bits& choice) const {
      return reinterpret_cast<Doubles>(_mm512_permutex2var_pd(low, reinterpret_cast<__m512i>(choice), high));
    }
  };

  using BitLanes = std::array<long long, Labellings::kLanes>;
  std::vector<BitLanes> rows_;    // [units, planes]: all ones where the bit of the unit's label is set
  std::vector<BitLanes> blocks_;  // [blocks, planes]: bit k for unit 4 block + k
};

#else

/// 64 labellings as numbers.
template <std::size_t Planes>
class LabelLanes {
 public:
  explicit LabelLanes(std::size_t units) : rows_(units) {}

  void assign(std::span<const Labellings::Lanes> labels) {
    for (std::size_t i = 0; i < labels.size(); ++i) std::ranges::copy(labels[i], rows_[i].begin());
  }

  /// Adds the pairs of rows [first, last) to `sums`.
  void add(const LowerPairs& pairs, std::size_t first, std::size_t last, DoubleLanes& sums) const {
    constexpr std::size_t kAtOnce = 4;
    for (std::size_t from = 0; from < kVectors; from += kAtOnce) {
      Doubles local[kAtOnce];
      for (std::size_t v = 0; v < kAtOnce; ++v) local[v] = load_lanes<Doubles>(&sums[(from + v) * kWidth]);
      for (std::size_t i = first; i < last; ++i) {
        Doubles own[kAtOnce];
        for (std::size_t v = 0; v < kAtOnce; ++v) own[v] = load_lanes<Doubles>(&rows_[i][(from + v) * kWidth]);
        const double* const row = pairs.at(i, 0);
        for (std::size_t j = 0; j < i; ++j) {
          const Doubles value = Doubles{} + row[j];
          for (std::size_t v = 0; v < kAtOnce; ++v) {
            const Bits same = own[v] == load_lanes<Doubles>(&rows_[j][(from + v) * kWidth]);
            local[v] += reinterpret_cast<Doubles>(same & reinterpret_cast<Bits>(value));
          }
        }
      }
      for (std::size_t v = 0; v < kAtOnce; ++v) std::memcpy(&sums[(from + v) * kWidth], &local[v], sizeof local[v]);
    }
  }

 private:
  std::vector<DoubleLanes> rows_;  // [units]
};

#endif

/// The sums of labellings first ... first + out.size() - 1.
template <std::size_t Planes>
void same_label_sums(const LowerPairs& pairs, const Labellings& labellings, std::size_t first, std::span<double> out) {
  constexpr std::size_t kRows = 16;  // labels of this many rows stay in the first-level cache
  std::vector<Labellings::Lanes> labels(labellings.units());
  LabelLanes<Planes> lanes(labellings.units());
  for (std::size_t done = 0; done < out.size(); done += Labellings::kLanes) {
    labellings.fill_lanes(first + done, labels);
    lanes.assign(labels);
    DoubleLanes sums{};
    for (std::size_t row = 0; row < pairs.size(); row += kRows)
      lanes.add(pairs, row, std::min(pairs.size(), row + kRows), sums);
    std::copy_n(sums.begin(), std::min(Labellings::kLanes, out.size() - done),
                out.begin() + static_cast<std::ptrdiff_t>(done));
  }
}

}  // namespace detail

/// For each labelling the sum over pairs of units with the same label.
[[nodiscard]] inline std::vector<double> same_label_sums(const LowerPairs& pairs, const Labellings& labellings,
                                                         const Progress& progress = {}) {
  if (pairs.size() != labellings.units())
    throw invalid_argument("permutation: expected ", pairs.size(), " labels, got ", labellings.units());
  std::vector<double> sums(labellings.size());
  const auto work = [&](std::size_t begin, std::size_t end) {
    const auto out = std::span(sums).subspan(begin, end - begin);
    const std::size_t tasks = labellings.tasks();
    if (tasks <= 2) return detail::same_label_sums<1>(pairs, labellings, begin, out);
    if (tasks <= 4) return detail::same_label_sums<2>(pairs, labellings, begin, out);
    if (tasks <= 8) return detail::same_label_sums<3>(pairs, labellings, begin, out);
    if (tasks <= 16) return detail::same_label_sums<4>(pairs, labellings, begin, out);
    return detail::same_label_sums<32>(pairs, labellings, begin, out);
  };
  parallel_for(sums.size(), 8 * Labellings::kLanes, work, progress);
  return sums;
}

}  // namespace routesig
