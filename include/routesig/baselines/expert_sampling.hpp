/// \file expert_sampling.hpp
/// Routing rows drawn at random, as counts: K distinct experts of E, all alike or with given popularity.
///
///     const routesig::UniformRows uniform(/*experts=*/64, /*top_k=*/8);
///     uniform.add(random, /*rows=*/40, counts);                        // counts [64] grow by 40 x 8
///     const routesig::SystematicRows popular(totals, /*layers=*/16, /*top_k=*/8);   // totals [16, 64]
///     popular.add(random, std::vector<std::size_t>(16, 40), counts);                // counts [16, 64]
///
/// Their cost grows with the rows; count_sampling.hpp has that of long texts, which does not.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "routesig/error.hpp"
#include "routesig/random.hpp"

namespace routesig {

/// Rows of independent numbers below sizes[0], sizes[1], ..., without bias, several from one 32-bit word x: the
/// mixed-radix digits of floor(x P / 2^32), P the product of a batch of sizes; words whose x P mod 2^32 is below 2^32
/// mod P would make some digits too likely and are drawn again (Brackett-Rozinsky and Lemire, arXiv 2408.06213).
class Digits {
 public:
  explicit Digits(std::vector<std::uint32_t> sizes) : sizes_(std::move(sizes)) {
    for (std::size_t i = 0; i < sizes_.size(); ++i) {
      if (batches_.empty() || batches_.back().product * std::uint64_t{sizes_[i]} > kLargestProduct)
        batches_.push_back({.begin = i, .end = i, .product = 1, .threshold = 0});
      Batch& batch = batches_.back();
      batch.end = i + 1;
      batch.product *= sizes_[i];
      batch.threshold = (0 - batch.product) % batch.product;
    }
  }

  /// Numbers [sizes, rows]: those of one size lie together, so that the loops over rows are vector instructions.
  [[nodiscard]] std::vector<std::uint32_t> draw(Random& random, std::size_t rows) const {
    std::vector<std::uint32_t> out(sizes_.size() * rows), left(rows);
    for (const Batch& batch : batches_) {
      for (std::uint32_t& x : left) x = word(random, batch);
      for (std::size_t i = batch.begin; i < batch.end; ++i) {
        const std::uint64_t size = sizes_[i];
        for (std::size_t row = 0; row < rows; ++row) {
          const std::uint64_t scaled = left[row] * size;
          out[i * rows + row] = static_cast<std::uint32_t>(scaled >> 32U);
          left[row] = static_cast<std::uint32_t>(scaled);
        }
      }
    }
    return out;
  }

 private:
  static constexpr std::uint64_t kLargestProduct = std::uint64_t{1} << 24U;  // fewer than 1 word in 256 drawn again

  struct Batch {
    std::size_t begin, end;
    std::uint32_t product, threshold;
  };

  static std::uint32_t word(Random& random, const Batch& batch) noexcept {
    while (true)
      if (const std::uint32_t x = random(); x * batch.product >= batch.threshold) return x;
  }

  std::vector<std::uint32_t> sizes_;
  std::vector<Batch> batches_;
};

/// Numbers for so many rows stay in the first-level cache.
inline constexpr std::size_t kRowsAtOnce = 64;

/// Calls add(some) until the parts sum to `rows`.
template <typename Add>
void in_parts(std::size_t rows, const Add& add) {
  for (; rows > 0; rows -= std::min(rows, kRowsAtOnce)) add(std::min(rows, kRowsAtOnce));
}

/// Whether the experts of a row differ from each other, or are drawn one by one whatever came before.
enum class RowDraws : std::uint8_t { distinct, with_replacement };

/// Rows of a router that prefers no expert: every set of `top_k` distinct experts is equally likely (Floyd's algorithm:
/// Bentley and Floyd, CACM 30(9), 1987), or every expert in each of `top_k` draws.
class UniformRows {
 public:
  UniformRows(std::size_t experts, std::size_t top_k, RowDraws draws = RowDraws::distinct)
      : experts_(experts), first_(experts - top_k), draws_(draws), digits_(sizes(experts, top_k, draws)) {}

  /// Adds the experts of `rows` rows to counts [experts].
  void add(Random& random, std::size_t rows, std::span<std::uint64_t> counts) const {
    in_parts(rows, [&](std::size_t part) {
      const std::vector<std::uint32_t> numbers = digits_.draw(random, part);
      if (draws_ == RowDraws::with_replacement)
        for (const std::uint32_t expert : numbers) ++counts[expert];
      else if (experts_ <= 64)
        add_few(numbers, part, counts);
      else
        add_many(numbers, part, counts);
    });
  }

 private:
  static std::vector<std::uint32_t> sizes(std::size_t experts, std::size_t top_k, RowDraws draws) {
    if (top_k < 1 || top_k > experts)
      throw invalid_argument("sampling: expected top_k from 1 to ", experts, " (the number of experts), got ", top_k);
    std::vector<std::uint32_t> out(top_k, static_cast<std::uint32_t>(experts));
    if (draws == RowDraws::distinct) std::iota(out.begin(), out.end(), static_cast<std::uint32_t>(experts - top_k + 1));
    return out;
  }

  // Floyd: for j = E - K, ..., E - 1 draw t from 0 ... j and take t, or j where t is taken already. Here t is j less
  // the number drawn, the experts of a row are the bits of a word, and all rows take a step at once: vector
  // instructions.
  void add_few(std::span<const std::uint32_t> numbers, std::size_t rows, std::span<std::uint64_t> counts) const {
    std::vector<std::uint64_t> taken(rows);
    for (std::size_t step = 0; step < numbers.size() / rows; ++step) {
      const std::uint64_t j = std::uint64_t{1} << (first_ + step);
      for (std::size_t row = 0; row < rows; ++row) {
        const std::uint64_t t = j >> numbers[step * rows + row];
        taken[row] |= t | ((taken[row] & t) != 0 ? j : 0);
      }
    }
    count_bits(taken, counts);
  }

  // Adds to counts[e] how many words have bit e: 64 counters side by side, bit b of all of them in planes[b].
  static void count_bits(std::span<const std::uint64_t> words, std::span<std::uint64_t> counts) {
    static_assert(kRowsAtOnce < 128);
    std::array<std::uint64_t, 7> planes{};
    for (std::uint64_t carry : words)
      for (std::uint64_t& plane : planes) carry &= std::exchange(plane, plane ^ carry);
    for (std::size_t e = 0; e < counts.size(); ++e) {
      std::uint64_t sum = 0;
      for (std::size_t b = 0; b < planes.size(); ++b) sum |= ((planes[b] >> e) & 1U) << b;
      counts[e] += sum;
    }
  }

  // The same row by row, with a mark an expert.
  void add_many(std::span<const std::uint32_t> numbers, std::size_t rows, std::span<std::uint64_t> counts) const {
    std::vector<std::uint32_t> taken_by(experts_);  // 1 + the last row that took it
    for (std::uint32_t row = 0; row < rows; ++row)
      for (std::size_t j = first_; j < experts_; ++j) {
        const std::size_t t = j - numbers[(j - first_) * rows + row];
        const std::size_t expert = taken_by[t] == row + 1 ? j : t;
        taken_by[expert] = row + 1;
        ++counts[expert];
      }
  }

  std::size_t experts_, first_;
  RowDraws draws_;
  Digits digits_;
};

namespace detail {

/// Positions on a line of length top_k are in units of 1 / kOne: sums of them are exact.
inline constexpr std::uint64_t kOne = std::uint64_t{1} << 31U;

/// pi_e = K A_e / sum A of one layer: differences of rounded cumulative sums, each within 1 / kOne of pi, and K in all.
/// 0 for experts never chosen.
[[nodiscard]] std::vector<std::uint32_t> inclusion(std::span<const std::uint64_t> totals, std::size_t top_k);

}  // namespace detail

/// Rows of K distinct experts in which expert e occurs with probability pi_e = K A_e / sum A, for popularity A:
/// randomised systematic sampling (Madow 1949). Put the experts in random order, end to end on a line of length K, each
/// as long as its pi; of the points v, v + 1, ..., v uniform, each lies in another expert, because no pi exceeds 1.
/// Drawing one expert after another in proportion to A would give popular ones too little.
///
/// All layers of a token are drawn together: one order, and a v for each layer. Whatever the order is, expert e has
/// probability pi_e, and v is independent; so layers stay uncorrelated, and each alone is as if it had an order of its
/// own.
class SystematicRows {
 public:
  /// `totals` [layers, experts]: how often each expert was chosen in all; none may exceed its layer's sum / top_k.
  SystematicRows(std::span<const std::uint64_t> totals, std::size_t layers, std::size_t top_k)
      : layers_(layers),
        experts_(layers == 0 ? 0 : totals.size() / layers),
        groups_((layers + kLanes - 1) / kLanes),
        longest_(groups_ * experts_, Lanes{} - 1),
        order_(descending(experts_)) {
    for (std::size_t l = 0; l < layers; ++l) {
      const std::vector<std::uint32_t> pi = detail::inclusion(totals.subspan(l * experts_, experts_), top_k);
      for (std::size_t e = 0; e < experts_; ++e)
        longest_[l / kLanes * experts_ + e][l % kLanes] = static_cast<std::int32_t>(pi[e] - 1);
    }
  }

  /// Adds the experts of rows[l] rows of every layer l to counts [layers, experts]. Fewer than 2^31 rows.
  void add(Random& random, std::span<const std::size_t> rows, std::span<std::uint64_t> counts) const {
    const std::size_t most = rows.empty() ? 0 : std::ranges::max(rows);
    if (most >= detail::kOne) throw invalid_argument("sampling: expected fewer than 2^31 rows at a time, got ", most);
    std::vector<Lanes> seen(longest_.size());
    std::vector<std::uint32_t> experts(experts_);
    std::iota(experts.begin(), experts.end(), 0U);
    std::size_t token = 0;
    in_parts(most, [&](std::size_t part) {
      const std::vector<std::uint32_t> numbers = order_.draw(random, part);
      for (std::size_t row = 0; row < part; ++row, ++token) {
        for (std::size_t i = 0; i + 1 < experts.size(); ++i)
          std::swap(experts[experts.size() - 1 - i], experts[numbers[i * part + row]]);
        for (std::size_t group = 0; group < groups_; ++group)
          add_layers(random, experts, group, rows, token, std::span(seen).subspan(group * experts_, experts_));
      }
    });
    for (std::size_t l = 0; l < layers_; ++l)
      for (std::size_t e = 0; e < experts_; ++e)
        counts[l * experts_ + e] += static_cast<std::uint64_t>(seen[l / kLanes * experts_ + e][l % kLanes]);
  }

 private:
#if defined(__AVX512F__)
  static constexpr std::size_t kLanes = 16;
#elif defined(__AVX2__)
  static constexpr std::size_t kLanes = 8;
#else
  static constexpr std::size_t kLanes = 4;
#endif
  using Lanes [[gnu::vector_size(kLanes * sizeof(std::int32_t))]] = std::int32_t;

  static constexpr std::int32_t kMask = detail::kOne - 1;  // positions count modulo 1

  /// One token in the layers of a group. The next point lies `left` beyond the end of what has been laid out; it is in
  /// the next expert if that is longer.
  void add_layers(Random& random, std::span<const std::uint32_t> experts, std::size_t group,
                  std::span<const std::size_t> rows, std::size_t token, std::span<Lanes> seen) const {
    const std::span<const Lanes> longest = std::span(longest_).subspan(group * experts_, experts_);
    Lanes left{}, wanted{};
    for (std::size_t lane = 0; lane < std::min(kLanes, layers_ - group * kLanes); ++lane) {
      left[lane] = static_cast<std::int32_t>(random() >> 1U);
      wanted[lane] = token < rows[group * kLanes + lane] ? -1 : 0;
    }
    for (const std::uint32_t e : experts) {
      const Lanes most = longest[e];
      seen[e] -= (left <= most) & wanted;
      left = (left + ~most) & kMask;  // ~most = -(most + 1)
    }
  }

  // Fisher and Yates: n, n - 1, ..., 2.
  static Digits descending(std::size_t n) {
    std::vector<std::uint32_t> sizes;
    for (std::size_t i = n; i > 1; --i) sizes.push_back(static_cast<std::uint32_t>(i));
    return Digits(std::move(sizes));
  }

  std::size_t layers_, experts_, groups_;
  std::vector<Lanes> longest_;  // [groups, experts]: pi less 1, the largest `left` of a point within the expert
  Digits order_;
};

}  // namespace routesig
