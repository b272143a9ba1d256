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

#include <Eigen/Core>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "routesig/labelling.hpp"
#include "routesig/parallel.hpp"
#include "routesig/similarity.hpp"
#include "routesig/unit_pairs.hpp"

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

namespace detail {

/// |sum of the rows of `units`|^2 in one block.
[[nodiscard]] inline double squared_sum(const UnitRows& rows, std::size_t block, std::span<const std::uint32_t> units) {
  using Register = Eigen::Array<double, static_cast<int>(UnitRows::kLanes), 1>;
  Register a = Register::Zero(), b = a, c = a, d = a;
  for (const std::uint32_t unit : units) {
    const double* const row = rows.at(block, unit);
    a += Eigen::Map<const Register>(row);
    b += Eigen::Map<const Register>(row + UnitRows::kLanes);
    c += Eigen::Map<const Register>(row + 2 * UnitRows::kLanes);
    d += Eigen::Map<const Register>(row + 3 * UnitRows::kLanes);
  }
  return (a * a + b * b + c * c + d * d).sum();
}

/// Units label by label.
struct ByLabel {
  std::vector<std::uint32_t> units, ends;  // [units]; [labels]: where each label ends

  ByLabel(std::span<const std::uint32_t> label, std::size_t labels) : units(label.size()), ends(labels) {
    for (const std::uint32_t one : label) ++ends[one];
    std::uint32_t before = 0;
    for (std::uint32_t& end : ends) before += std::exchange(end, before);  // where it begins
    for (std::uint32_t unit = 0; unit < label.size(); ++unit) units[ends[label[unit]]++] = unit;
  }

  /// Of every label |sum of rows|^2 in one block, added up.
  [[nodiscard]] double squared_sums(const UnitRows& rows, std::size_t block) const {
    double sum = 0.0;
    std::size_t first = 0;
    for (const std::uint32_t last : ends) {
      sum += squared_sum(rows, block, std::span(units).subspan(first, last - first));
      first = last;
    }
    return sum;
  }
};

}  // namespace detail

/// The sum over pairs of prompts of one label and different units.
[[nodiscard]] inline double same_label_sum(const UnitRows& rows, std::span<const std::uint32_t> label,
                                           std::size_t labels) {
  const detail::ByLabel by_label(label, labels);
  double sum = -rows.own();
  for (std::size_t block = 0; block < rows.blocks(); ++block) sum += by_label.squared_sums(rows, block);
  return sum / 2.0;
}

/// For each labelling of units the sum over pairs of prompts of different units with the same label.
[[nodiscard]] inline std::vector<double> same_label_sums(const UnitRows& rows, const Labellings& labellings,
                                                         const Progress& progress = {}) {
  constexpr std::size_t kAtOnce = 16;  // labellings that a block serves while it is in the cache
  std::vector<double> sums(labellings.size(), -rows.own());
  const auto work = [&](std::size_t begin, std::size_t end) {
    std::vector<detail::ByLabel> sorted;
    std::vector<std::uint32_t> label(rows.units());
    for (std::size_t i = begin; i < end; ++i) {
      labellings.fill(i, label);
      sorted.emplace_back(label, labellings.tasks());
    }
    for (std::size_t block = 0; block < rows.blocks(); ++block)
      for (std::size_t i = begin; i < end; ++i) sums[i] += sorted[i - begin].squared_sums(rows, block);
    for (std::size_t i = begin; i < end; ++i) sums[i] /= 2.0;
  };
  parallel_for(sums.size(), kAtOnce, work, progress);
  return sums;
}

}  // namespace routesig
