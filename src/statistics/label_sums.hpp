/// \file label_sums.hpp
/// Sums over the pairs of prompts of different units that share a label, for many labellings, of similarities that are
/// inner products: what many prompts need in place of pair_sums.hpp.
///
///     const routesig::UnitRows rows(units, set, /*layer=*/3);               // the unit rows of one layer
///     const std::vector<double> sums = routesig::same_label_sums(rows, labellings);   // [labellings.size()]
///
/// The pairs of a label sum to (|sum of its units' rows|^2 - sum of |row of a unit|^2) / 2, so that a labelling costs
/// units x experts and not units x units / 2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "routesig/inner_products.hpp"
#include "routesig/metric.hpp"
#include "routesig/parallel.hpp"
#include "routesig/similarity.hpp"
#include "routesig/statistics/labelling.hpp"
#include "routesig/statistics/unit_pairs.hpp"

namespace routesig {

/// Rows of length 1, one per prompt, summed over units: blocks of a few columns one after another, so that the rows of
/// a block stay in the cache.
class UnitRows {
 public:
#ifdef __AVX512F__
  static constexpr std::size_t kLanes = 8;
#else
  static constexpr std::size_t kLanes = 4;
#endif
  static constexpr std::size_t kWidth = 4 * kLanes;  // columns of a block: four registers

  UnitRows(const Units& units, const SignatureView& set, std::size_t layer)
      : units_(units.size()), blocks_((set.experts + kWidth - 1) / kWidth), values_(blocks_ * units_ * kWidth) {
    std::vector<double> row(set.experts);
    for (std::size_t unit = 0; unit < units_; ++unit)
      for (const std::size_t prompt : units.members(unit)) {
        Cosine{}.embed(set.row(prompt, layer), row);
        for (std::size_t e = 0; e < row.size(); ++e)
          values_[(e / kWidth * units_ + unit) * kWidth + e % kWidth] += row[e];
      }
    for (const double x : values_) own_ += x * x;
  }

  [[nodiscard]] std::size_t units() const noexcept { return units_; }
  [[nodiscard]] std::size_t blocks() const noexcept { return blocks_; }
  [[nodiscard]] const double* at(std::size_t block, std::size_t unit) const noexcept {
    return values_.data() + (block * units_ + unit) * kWidth;
  }
  /// Sum of the squares of units' rows.
  [[nodiscard]] double own() const noexcept { return own_; }

 private:
  std::size_t units_, blocks_;
  std::vector<double> values_;  // [blocks, units, width]
  double own_ = 0.0;
};

/// The sum over pairs of prompts of one label and different units.
[[nodiscard]] double same_label_sum(const UnitRows& rows, std::span<const std::uint32_t> label, std::size_t labels);

/// For each labelling of units the sum over pairs of prompts of different units with the same label.
[[nodiscard]] std::vector<double> same_label_sums(const UnitRows& rows, const Labellings& labellings,
                                                  const Progress& progress = {});

}  // namespace routesig
