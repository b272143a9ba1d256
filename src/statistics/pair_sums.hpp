/// \file pair_sums.hpp
/// Sums over the pairs that share a label, for many labellings: the inner loop of the label permutation test.
///
///     const routesig::LowerPairs pairs(similarity, n);                       // [n, n], symmetric
///     const std::vector<double> sums = routesig::same_label_sums(pairs, labellings);   // [labellings.size()]
///
/// 128 labellings lie side by side. For four columns at a time, a nibble of each labelling says which of them have
/// another label than the row, and picks the sum of the others from a table of 16. The table is two AVX-512 registers
/// and the choice one instruction; without them, columns are added one by one under a mask. Sums are in double, always
/// in one order.
#pragma once

#include <immintrin.h>
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

#include "routesig/error.hpp"
#include "routesig/interrupt.hpp"
#include "routesig/parallel.hpp"
#include "routesig/statistics/labelling.hpp"

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

using DoubleLanes = std::array<double, Labellings::kLanes>;

#ifdef __AVX512F__

/// 128 labellings, bit by bit. A row is 64 bytes; the low half of byte b belongs to labelling b, the high half to
/// labelling 64 + b. `Planes` bits hold a label.
template <std::size_t Planes>
class LabelLanes {
 public:
  explicit LabelLanes(std::size_t units) : rows_(units * Planes), blocks_((units + 3) / 4 * Planes) {}

  template <typename Label>
  void assign(std::span<const Labellings::Lanes<Label>> labels) {
    std::ranges::fill(blocks_, Words{});
    for (std::size_t i = 0; i < labels.size(); ++i)
      for (std::size_t plane = 0; plane < Planes; plane += 4) {
        std::array<std::uint8_t, 64> bits;  // four of each label
        for (std::size_t b = 0; b < bits.size(); ++b)
          bits[b] = static_cast<std::uint8_t>((labels[i][b] >> plane & 15U) | (labels[i][64 + b] >> plane & 15U) << 4U);
        const auto nibbles = std::bit_cast<Words>(bits);
        for (std::size_t bit = 0; bit < std::min<std::size_t>(4, Planes - plane); ++bit)
          for (std::size_t w = 0; w < 8; ++w) {
            const std::uint64_t set = nibbles.at[w] >> bit & 0x1111'1111'1111'1111U;
            rows_[i * Planes + plane + bit].at[w] = set * 15;
            blocks_[i / 4 * Planes + plane + bit].at[w] |= set << (i % 4);
          }
      }
  }

  /// Where the sum of a labelling lies.
  [[nodiscard]] static constexpr std::size_t place(std::size_t lane) noexcept {
    const std::size_t byte = lane % 64, nibble = 2 * (byte % 8) + lane / 64;  // of word byte / 8
    return 8 * nibble + byte / 8;
  }

  /// Adds the pairs of rows [first, last) to `sums`.
  void add(const LowerPairs& pairs, std::size_t first, std::size_t last, DoubleLanes& sums) const {
    __m512d local[kNibbles];
    for (std::size_t k = 0; k < kNibbles; ++k) local[k] = _mm512_loadu_pd(&sums[8 * k]);
    for (std::size_t block = 0; block * LowerPairs::kBlock < last; ++block) {
      __m512i other[Planes];
      for (std::size_t plane = 0; plane < Planes; ++plane)
        other[plane] = _mm512_load_si512(&blocks_[block * Planes + plane]);
      for (std::size_t i = std::max(first, block * LowerPairs::kBlock + 1); i < last; ++i) {
        const Choices choices(pairs.at(i, block));
        const Words* const own = &rows_[i * Planes];
        __m512i differ = _mm512_xor_si512(_mm512_load_si512(own), other[0]);
        for (std::size_t plane = 1; plane < Planes; ++plane)
          differ = _mm512_or_si512(differ, _mm512_xor_si512(_mm512_load_si512(own + plane), other[plane]));
        for (std::size_t k = 0; k < kNibbles; ++k)
          local[k] = _mm512_add_pd(local[k], choices.without(_mm512_srli_epi64(differ, static_cast<unsigned>(4 * k))));
      }
    }
    for (std::size_t k = 0; k < kNibbles; ++k) _mm512_storeu_pd(&sums[8 * k], local[k]);
  }

 private:
  static constexpr std::size_t kNibbles = Labellings::kLanes / 8;
  struct alignas(64) Words {
    std::array<std::uint64_t, 8> at{};
  };

  /// What four columns add, for each of the 16 choices of those to leave out.
  struct Choices {
    __m512d low, high;

    explicit Choices(const double* x) {
      const __m512d pair = _mm512_add_pd(_mm512_maskz_mov_pd(0x55, _mm512_set1_pd(x[0])),
                                         _mm512_maskz_mov_pd(0x33, _mm512_set1_pd(x[1])));
      high = _mm512_add_pd(pair, _mm512_maskz_mov_pd(0x0F, _mm512_set1_pd(x[2])));
      low = _mm512_add_pd(high, _mm512_set1_pd(x[3]));
    }
    /// The lowest four bits of each word say what is left out; the others are not looked at.
    [[nodiscard]] __m512d without(__m512i columns) const { return _mm512_permutex2var_pd(low, columns, high); }
  };

  std::vector<Words> rows_;    // [units, planes]: nibbles of ones where the bit of the unit's label is set
  std::vector<Words> blocks_;  // [blocks, planes]: bit k of a nibble is that of unit 4 block + k
};

#else

#ifdef __AVX__
inline constexpr std::size_t kRegisterBytes = 32;
#else
inline constexpr std::size_t kRegisterBytes = 16;
#endif
using Doubles [[gnu::vector_size(kRegisterBytes)]] = double;
using Bits [[gnu::vector_size(kRegisterBytes)]] = long long;
inline constexpr std::size_t kWidth = kRegisterBytes / sizeof(double);

template <typename Vector>
[[nodiscard]] inline Vector load_lanes(const double* from) noexcept {
  Vector out;
  std::memcpy(&out, from, sizeof out);
  return out;
}

/// 128 labellings as numbers.
template <std::size_t Planes>
class LabelLanes {
 public:
  explicit LabelLanes(std::size_t units) : rows_(units) {}

  template <typename Label>
  void assign(std::span<const Labellings::Lanes<Label>> labels) {
    for (std::size_t i = 0; i < labels.size(); ++i) std::ranges::copy(labels[i], rows_[i].begin());
  }

  [[nodiscard]] static constexpr std::size_t place(std::size_t lane) noexcept { return lane; }

  /// Adds the pairs of rows [first, last) to `sums`.
  void add(const LowerPairs& pairs, std::size_t first, std::size_t last, DoubleLanes& sums) const {
    constexpr std::size_t kAtOnce = 4;
    for (std::size_t from = 0; from < Labellings::kLanes / kWidth; from += kAtOnce) {
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

/// The sums of labellings first ... first + out.size() - 1; `first` begins a batch of lanes.
template <std::size_t Planes>
void same_label_sums(const LowerPairs& pairs, const Labellings& labellings, std::size_t first, std::span<double> out) {
  constexpr std::size_t kRows = 16;  // labels of this many rows stay in the first-level cache
  using Label = std::conditional_t<(Planes <= 8), std::uint8_t, std::uint32_t>;
  std::vector<Labellings::Lanes<Label>> labels(labellings.units());
  LabelLanes<Planes> lanes(labellings.units());
  for (std::size_t done = 0; done < out.size(); done += Labellings::kLanes) {
    interruption_point();
    labellings.fill_lanes((first + done) / Labellings::kLanes, std::span(labels));
    lanes.assign(std::span<const Labellings::Lanes<Label>>(labels));
    DoubleLanes sums{};
    for (std::size_t row = 0; row < pairs.size(); row += kRows)
      lanes.add(pairs, row, std::min(pairs.size(), row + kRows), sums);
    for (std::size_t lane = 0; lane < std::min(Labellings::kLanes, out.size() - done); ++lane)
      out[done + lane] = sums[LabelLanes<Planes>::place(lane)];
  }
}

}  // namespace detail

/// For each labelling the sum over pairs of units with the same label.
[[nodiscard]] std::vector<double> same_label_sums(const LowerPairs& pairs, const Labellings& labellings,
                                                  const Progress& progress = {});

}  // namespace routesig
