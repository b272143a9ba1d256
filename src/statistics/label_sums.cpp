#include "statistics/label_sums.hpp"

#include <Eigen/Core>
#include <utility>

namespace routesig {
namespace detail {
namespace {

/// |sum of the rows of `units`|^2 in one block.
[[nodiscard]] double squared_sum(const UnitRows& rows, std::size_t block, std::span<const std::uint32_t> units) {
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

}  // namespace
}  // namespace detail

double same_label_sum(const UnitRows& rows, std::span<const std::uint32_t> label, std::size_t labels) {
  const detail::ByLabel by_label(label, labels);
  double sum = -rows.own();
  for (std::size_t block = 0; block < rows.blocks(); ++block) sum += by_label.squared_sums(rows, block);
  return sum / 2.0;
}

std::vector<double> same_label_sums(const UnitRows& rows, const Labellings& labellings, const Progress& progress) {
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
