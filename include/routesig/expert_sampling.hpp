/// \file expert_sampling.hpp
/// Routing rows drawn at random, as counts: K distinct experts of E, all alike or with given popularity.
///
///     const routesig::UniformRows uniform(/*experts=*/64, /*top_k=*/8);
///     uniform.add(random, /*rows=*/40, counts);                        // counts [64] grow by 40 x 8
///     const routesig::SystematicRows popular(totals, /*top_k=*/8);     // totals [64]: how often each was chosen
///     popular.add(random, 40, counts);
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "routesig/error.hpp"
#include "routesig/random.hpp"

namespace routesig {

__extension__ using Wide = unsigned __int128;

/// Independent numbers below sizes[0], sizes[1], ..., without bias, several from one 64-bit word x: the mixed-radix
/// digits of floor(x P / 2^64), P the product of a batch of sizes; words whose x P mod 2^64 is below 2^64 mod P would
/// make some digits too likely and are drawn again (Brackett-Rozinsky and Lemire, arXiv 2408.06213).
class Digits {
 public:
  explicit Digits(std::vector<std::uint32_t> sizes) : sizes_(std::move(sizes)) {
    for (std::size_t i = 0; i < sizes_.size(); ++i) {
      if (batches_.empty() || Wide{batches_.back().product} * sizes_[i] > kLargestProduct)
        batches_.push_back({.begin = i, .end = i, .product = 1, .threshold = 0});
      Batch& batch = batches_.back();
      batch.end = i + 1;
      batch.product *= sizes_[i];
      batch.threshold = (0 - batch.product) % batch.product;
    }
  }

  /// Calls visit(i, number below sizes[i]) for every i, in order.
  template <typename Visit>
  void draw(Random& random, const Visit& visit) const {
    for (const Batch& batch : batches_) {
      std::uint64_t x = word(random);
      while (x * batch.product < batch.threshold) x = word(random);
      for (std::size_t i = batch.begin; i < batch.end; ++i) {
        const Wide scaled = Wide{x} * sizes_[i];
        visit(i, static_cast<std::uint32_t>(scaled >> 64U));
        x = static_cast<std::uint64_t>(scaled);
      }
    }
  }

 private:
  static constexpr std::uint64_t kLargestProduct = std::uint64_t{1} << 56U;  // fewer than 1 word in 256 drawn again

  struct Batch {
    std::size_t begin, end;
    std::uint64_t product, threshold;
  };

  static std::uint64_t word(Random& random) noexcept {
    const std::uint64_t high = random();
    return (high << 32U) | random();
  }

  std::vector<std::uint32_t> sizes_;
  std::vector<Batch> batches_;
};

/// Whether the experts of a row differ from each other, or are drawn one by one whatever came before.
enum class RowDraws : std::uint8_t { distinct, with_replacement };

/// Rows of a router that prefers no expert: every set of `top_k` distinct experts is equally likely (Floyd's algorithm:
/// Bentley and Floyd, CACM 30(9), 1987), or every expert in each of `top_k` draws.
class UniformRows {
 public:
  UniformRows(std::size_t experts, std::size_t top_k, RowDraws draws = RowDraws::distinct)
      : experts_(experts), first_(experts - top_k), draws_(draws), digits_(sizes(experts, top_k, draws)) {}

  /// Adds the experts of `rows` rows to counts [experts].
  void add(Random& random, std::size_t rows, std::span<std::uint32_t> counts) const {
    if (draws_ == RowDraws::with_replacement)
      for (std::size_t row = 0; row < rows; ++row)
        digits_.draw(random, [&](std::size_t, std::uint32_t expert) { ++counts[expert]; });
    else if (experts_ <= 64)
      add_distinct(random, rows, counts, FewExperts{});
    else
      add_distinct(random, rows, counts, ManyExperts(experts_));
  }

 private:
  // The experts of one row. Two types, because a single word stays in a register.
  struct FewExperts {
    std::uint64_t bits = 0;
    [[nodiscard]] bool contains(std::uint32_t e) const { return ((bits >> e) & 1U) != 0; }
    void insert(std::uint32_t e) { bits |= std::uint64_t{1} << e; }
    void clear() { bits = 0; }
  };
  struct ManyExperts {
    std::vector<std::uint64_t> words;
    explicit ManyExperts(std::size_t experts) : words(experts / 64 + 1) {}
    [[nodiscard]] bool contains(std::uint32_t e) const { return ((words[e / 64] >> (e % 64)) & 1U) != 0; }
    void insert(std::uint32_t e) { words[e / 64] |= std::uint64_t{1} << (e % 64); }
    void clear() { std::ranges::fill(words, 0); }
  };

  static std::vector<std::uint32_t> sizes(std::size_t experts, std::size_t top_k, RowDraws draws) {
    if (top_k < 1 || top_k > experts)
      throw invalid_argument("sampling: expected top_k from 1 to ", experts, " (the number of experts), got ", top_k);
    std::vector<std::uint32_t> out(top_k, static_cast<std::uint32_t>(experts));
    if (draws == RowDraws::distinct) std::iota(out.begin(), out.end(), static_cast<std::uint32_t>(experts - top_k + 1));
    return out;
  }

  // Floyd: for j = E - K, ..., E - 1 draw t from 0 ... j and take t, or j where t is already taken.
  template <typename Taken>
  void add_distinct(Random& random, std::size_t rows, std::span<std::uint32_t> counts, Taken taken) const {
    const auto first = static_cast<std::uint32_t>(first_);
    for (std::size_t row = 0; row < rows; ++row) {
      taken.clear();
      digits_.draw(random, [&](std::size_t i, std::uint32_t t) {
        const std::uint32_t expert = taken.contains(t) ? first + static_cast<std::uint32_t>(i) : t;
        taken.insert(expert);
        ++counts[expert];
      });
    }
  }

  std::size_t experts_, first_;
  RowDraws draws_;
  Digits digits_;
};

/// Rows of K distinct experts in which expert e occurs with probability pi_e = K A_e / sum A, for popularity A:
/// randomised systematic sampling (Madow 1949). Put the experts in random order, end to end on a line of length K, each
/// as long as its pi; of the points v, v + 1, ..., v uniform, each lies in another expert, because no pi exceeds 1.
/// Drawing one expert after another in proportion to A would give popular ones too little.
class SystematicRows {
 public:
  /// `totals` [experts]: how often each expert was chosen in all; none may exceed sum / top_k.
  SystematicRows(std::span<const std::uint64_t> totals, std::size_t top_k)
      : shares_(shares(totals, top_k)), order_(descending(shares_.size())) {}

  /// Adds the experts of `rows` rows to counts [experts].
  void add(Random& random, std::size_t rows, std::span<std::uint32_t> counts) const {
    std::vector<Share> line = shares_;
    for (std::size_t row = 0; row < rows; ++row) {
      order_.draw(random, [&](std::size_t i, std::uint32_t r) { std::swap(line[line.size() - 1 - i], line[r]); });
      std::uint64_t end = random() % kOne;  // v: so far from the last whole number; whole numbers are multiples of kOne
      for (const Share& share : line) {
        const std::uint64_t begin = end;
        end += share.length;
        counts[share.expert] += static_cast<std::uint32_t>(end / kOne - begin / kOne);
      }
    }
  }

 private:
  static constexpr std::uint64_t kOne = std::uint64_t{1} << 31U;  // pi = 1 in fixed point: sums are exact

  struct Share {
    std::uint32_t length;  // pi
    std::uint32_t expert;
  };

  // Differences of rounded cumulative sums: each within 2^-31 of pi, and K in all. Experts never chosen are left out.
  static std::vector<Share> shares(std::span<const std::uint64_t> totals, std::size_t top_k) {
    const auto sum = std::accumulate(totals.begin(), totals.end(), std::uint64_t{0});
    std::vector<Share> out;
    std::uint64_t so_far = 0, end = 0;
    for (std::size_t e = 0; e < totals.size(); ++e) {
      if (totals[e] == 0) continue;
      if (Wide{totals[e]} * top_k > sum)
        throw invalid_argument("sampling: expected counts of top-", top_k, " routing, got expert ", e, " in ",
                               totals[e], " of ", sum, " selections, more than 1 in ", top_k);
      so_far += totals[e];
      const std::uint64_t begin = std::exchange(end, static_cast<std::uint64_t>(Wide{so_far} * top_k * kOne / sum));
      out.push_back({.length = static_cast<std::uint32_t>(end - begin), .expert = static_cast<std::uint32_t>(e)});
    }
    return out;
  }

  // Fisher and Yates: n, n - 1, ..., 2.
  static Digits descending(std::size_t n) {
    std::vector<std::uint32_t> sizes;
    for (std::size_t i = n; i > 1; --i) sizes.push_back(static_cast<std::uint32_t>(i));
    return Digits(std::move(sizes));
  }

  std::vector<Share> shares_;  // of experts that occur
  Digits order_;
};

}  // namespace routesig
