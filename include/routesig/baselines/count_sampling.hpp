/// \file count_sampling.hpp
/// The counts of expert_sampling.hpp's rows at a cost that does not grow with their number: long texts draw counts, not
/// tokens.
///
///     const routesig::UniformCounts uniform(/*experts=*/64, /*top_k=*/8);
///     uniform.add(random, /*rows=*/1'000'000'000, counts);                           // counts [64] grow by rows x 8
///     const routesig::SystematicCounts popular(totals, /*layers=*/16, /*top_k=*/8);  // totals [16, 64]
///     popular.add(random, std::vector<std::size_t>(16, 1'000'000'000), counts);      // counts [16, 64]
///
/// Up to kRowsOneByOne rows are drawn one by one, number for number as UniformRows and SystematicRows draw them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "routesig/baselines/expert_sampling.hpp"
#include "routesig/random.hpp"
#include "routesig/statistics/binomial.hpp"

namespace routesig {

/// Drawing counts costs no more from about as many rows on.
inline constexpr std::size_t kRowsOneByOne = 16'384;

/// Counts of UniformRows, exactly as they are distributed. A walk over the experts keeps how many rows have still to
/// pick j of them, j = 0 ... K: of those, each takes expert e of E with probability j / (E - e), independently. So one
/// binomial for each expert and j is enough; with replacement, one for each expert.
class UniformCounts {
 public:
  UniformCounts(std::size_t experts, std::size_t top_k, RowDraws draws = RowDraws::distinct)
      : experts_(experts), top_k_(top_k), draws_(draws), one_by_one_(experts, top_k, draws) {}

  /// Adds the experts of `rows` rows to counts [experts]; rows x top_k is below 2^64.
  void add(Random& random, std::size_t rows, std::span<std::uint64_t> counts) const {
    if (rows <= kRowsOneByOne) return one_by_one_.add(random, rows, counts);
    draws_ == RowDraws::distinct ? add_distinct(random, rows, counts) : add_any(random, rows, counts);
  }

 private:
  void add_distinct(Random& random, std::uint64_t rows, std::span<std::uint64_t> counts) const {
    std::vector<std::uint64_t> picking(top_k_ + 1);  // [j]: rows with j picks left
    picking[top_k_] = rows;
    for (std::size_t e = 0; e < experts_; ++e)
      for (std::size_t j = 1; j <= std::min(top_k_, experts_ - e); ++j) {
        const auto taking = binomial(random, picking[j], static_cast<double>(j) / static_cast<double>(experts_ - e));
        picking[j] -= taking;
        picking[j - 1] += taking;
        counts[e] += taking;
      }
  }

  void add_any(Random& random, std::uint64_t rows, std::span<std::uint64_t> counts) const {
    std::uint64_t left = rows * top_k_;
    for (std::size_t e = 0; e < experts_; ++e) {
      const auto taking = binomial(random, left, 1.0 / static_cast<double>(experts_ - e));
      left -= taking;
      counts[e] += taking;
    }
  }

  std::size_t experts_, top_k_;
  RowDraws draws_;
  UniformRows one_by_one_;
};

/// Counts of SystematicRows. Given the order of the experts, a row depends on its v alone, and n rows that share an
/// order are a multinomial over the pieces into which the experts' ends cut [0, 1). Here all rows share `orders()`
/// orders, as evenly as they can be split, and the layers of a prompt the same ones.
///
/// Whatever its order, a row takes expert e with probability pi_e. So counts have exactly the means, variances and
/// covariances of rows with an order each: given the orders their expectation is the same, and their covariance is that
/// of a row on average. Only higher moments differ, less the more orders there are: the squared length of a prompt's
/// deviation from its expectation has a variance larger by K / orders() = 1/8 at most, where all pi are equal
/// (simulated: .12; unequal ones: .08). That of products of two prompts' deviations is exact, as each prompt has its
/// own orders.
class SystematicCounts {
 public:
  /// `totals` [layers, experts]: how often each expert was chosen in all; none may exceed its layer's sum / top_k.
  SystematicCounts(std::span<const std::uint64_t> totals, std::size_t layers, std::size_t top_k)
      : layers_(layers),
        experts_(layers == 0 ? 0 : totals.size() / layers),
        top_k_(top_k),
        one_by_one_(totals, layers, top_k) {
    for (std::size_t l = 0; l < layers; ++l) {
      const std::vector<std::uint32_t> of_layer = detail::inclusion(totals.subspan(l * experts_, experts_), top_k);
      pi_.insert(pi_.end(), of_layer.begin(), of_layer.end());
    }
  }

  /// How many orders the rows of a prompt share where they are many.
  [[nodiscard]] std::size_t orders() const noexcept { return 8 * top_k_; }

  /// Adds the experts of rows[l] rows of every layer l to counts [layers, experts].
  void add(Random& random, std::span<const std::size_t> rows, std::span<std::uint64_t> counts) const {
    if (rows.empty() || std::ranges::max(rows) <= kRowsOneByOne) return one_by_one_.add(random, rows, counts);
    std::vector<std::uint32_t> order(experts_);
    std::iota(order.begin(), order.end(), 0U);
    Ends ends(experts_);
    for (std::size_t i = 0; i < orders(); ++i) {
      random.shuffle(std::span(order));
      for (std::size_t l = 0; l < layers_; ++l) {
        const std::uint64_t share = rows[l] / orders() + (i < rows[l] % orders() ? 1 : 0);
        if (share > 0) add_order(random, order, l, share, ends, counts.subspan(l * experts_, experts_));
      }
    }
  }

 private:
  /// Where the experts of an order end.
  struct Ends {
    std::vector<std::uint64_t> at;     // [experts] places in the order: on the line of length K
    std::vector<std::uint64_t> cuts;   // [experts]: the same modulo 1, ascending, with the place in the low half
    std::vector<std::uint64_t> below;  // [experts] places: rows whose v lies below

    explicit Ends(std::size_t experts) : at(experts), cuts(experts), below(experts) {}
  };

  /// `rows` rows of one layer that share an order.
  void add_order(Random& random, std::span<const std::uint32_t> order, std::size_t layer, std::uint64_t rows,
                 Ends& ends, std::span<std::uint64_t> counts) const {
    const std::span<const std::uint32_t> pi = std::span(pi_).subspan(layer * experts_, experts_);
    std::uint64_t end = 0;
    for (std::size_t i = 0; i < experts_; ++i) {
      ends.at[i] = end += pi[order[i]];
      ends.cuts[i] = end % detail::kOne << 32U | i;
    }
    std::ranges::sort(ends.cuts);
    std::uint64_t from = 0, passed = 0;
    for (const std::uint64_t cut : ends.cuts) {
      const std::uint64_t to = cut >> 32U;
      passed +=
          binomial(random, rows - passed, static_cast<double>(to - from) / static_cast<double>(detail::kOne - from));
      ends.below[static_cast<std::uint32_t>(cut)] = passed;
      from = to;
    }
    std::uint64_t before = 0;  // points v, v + 1, ... of all rows below the expert's beginning
    for (std::size_t i = 0; i < experts_; ++i) {
      const std::uint64_t points = ends.at[i] / detail::kOne * rows + ends.below[i];
      counts[order[i]] += points - before;
      before = points;
    }
  }

  std::size_t layers_, experts_, top_k_;
  std::vector<std::uint32_t> pi_;  // [layers, experts] in units of 1 / kOne
  SystematicRows one_by_one_;
};

}  // namespace routesig
