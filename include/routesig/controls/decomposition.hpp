/// \file decomposition.hpp
/// Splits D = mean within-task minus mean across-task similarity, per layer and overall, into what prompt length,
/// vocabulary and context contribute.
///
///     const auto parts = routesig::decompose(routesig::token_table(traces), {.shuffles = 200, .bootstrap = 2000});
///     if (parts.overall) use(parts.overall->context.value, parts.overall->context.band);
///
/// length: D under load balance; vocabulary: mean D under the same-token shuffle minus length; context: the rest.
/// Tokens whose word occurs in one task only keep their task's routing under the shuffle, so that vocabulary is the
/// most that words can account for; where few tokens can cross tasks the split means nothing (TokenTable::crossing).
#pragma once

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "routesig/controls/token_shuffle.hpp"
#include "routesig/controls/token_table.hpp"
#include "routesig/interrupt.hpp"
#include "routesig/parallel.hpp"
#include "routesig/random.hpp"
#include "routesig/routing.hpp"

namespace routesig {

struct DecompositionOptions {
  std::size_t shuffles = 200;
  std::size_t bootstrap = 2000;  ///< 0: no bands
  std::uint64_t seed = 0;
  std::vector<double> length{};  ///< [layers] D under load balance; empty: its closed form
};

/// A 95 % interval over the bootstrap.
struct Band {
  double low = 0.0;
  double high = 0.0;
};

struct Part {
  double value = 0.0;
  std::optional<Band> band{};
};

struct Parts {
  Part total{};
  Part length{};
  Part vocabulary{};
  Part context{};
};

struct Decomposition {
  std::optional<Parts> overall{};  ///< mean over layers; absent without both kinds of pairs
  std::vector<std::optional<Parts>> layers{};
  std::string no_bands{};  ///< why there are none; "" where there are
};

namespace detail {

/// The prompts of a table, some of them several times and some not at all, as a bootstrap draws them.
class ResampledTable {
 public:
  /// `times` [prompts]: how often each prompt comes.
  ResampledTable(const TokenTable& table, const RowLabels& labels, std::span<const std::size_t> begins,
                 std::span<const std::size_t> times)
      : table_(table), begins_(begins), first_row_(table.prompts()), times_(times.begin(), times.end()) {
    for (std::size_t p = 0; p < table.prompts(); ++p) {
      first_row_[p] = prompt_.size();
      for (std::size_t copy = 0; copy < times[p]; ++copy) {
        prompt_.push_back(p);
        labels_.task.push_back(labels.task[p]);
        labels_.unit.push_back(labels.unit[p]);
      }
    }
  }

  [[nodiscard]] const RowLabels& labels() const noexcept { return labels_; }
  [[nodiscard]] std::size_t rows() const noexcept { return prompt_.size(); }
  /// Rows of `values` [prompts, width], as often as they come.
  template <typename Value>
  [[nodiscard]] std::vector<Value> repeated(std::span<const Value> values, std::size_t width) const {
    std::vector<Value> out;
    out.reserve(rows() * width);
    for (const std::size_t p : prompt_)
      out.insert(out.end(), values.begin() + static_cast<std::ptrdiff_t>(p * width),
                 values.begin() + static_cast<std::ptrdiff_t>((p + 1) * width));
    return out;
  }
  /// Counts [rows, layers, experts] after one shuffle within strata, each copy of a prompt with tokens of its own.
  [[nodiscard]] std::vector<std::uint32_t> shuffled_counts(Random& random) const {
    std::vector<std::size_t> row_begins(rows() + 1);
    for (std::size_t row = 0; row < rows(); ++row)
      row_begins[row + 1] = row_begins[row] + begins_[prompt_[row] + 1] - begins_[prompt_[row]];
    std::vector<std::uint32_t> source(row_begins.back()), order;
    for (std::size_t row = 0; row < rows(); ++row)
      std::iota(source.begin() + static_cast<std::ptrdiff_t>(row_begins[row]),
                source.begin() + static_cast<std::ptrdiff_t>(row_begins[row + 1]),
                static_cast<std::uint32_t>(begins_[prompt_[row]]));
    const auto for_each_copy = [&](const std::vector<std::uint32_t>& stratum, const auto& visit) {
      for (const std::uint32_t t : stratum) {
        const std::size_t p = table_.prompt[t];
        for (std::size_t copy = 0; copy < times_[p]; ++copy)
          visit(t, row_begins[first_row_[p] + copy] + t - begins_[p]);
      }
    };
    for (const auto& stratum : table_.strata) {
      interruption_point();
      order.clear();
      for_each_copy(stratum, [&](std::uint32_t t, std::size_t) { order.push_back(t); });
      random.shuffle(std::span(order));
      auto next = order.begin();
      for_each_copy(stratum, [&](std::uint32_t, std::size_t place) { source[place] = *next++; });
    }
    return counts(source, row_begins);
  }

 private:
  [[nodiscard]] std::vector<std::uint32_t> counts(std::span<const std::uint32_t> source,
                                                  std::span<const std::size_t> row_begins) const {
    std::vector<std::uint32_t> out(rows() * table_.layers * table_.experts);
    for (std::size_t row = 0; row < rows(); ++row) {
      interruption_point();
      for (std::size_t i = row_begins[row]; i < row_begins[row + 1]; ++i)
        for (std::size_t l = 0; l < table_.layers; ++l) {
          const auto experts = table_.row(source[i], l);
          std::uint32_t* const cell = out.data() + (row * table_.layers + l) * table_.experts;
          if (experts[0] != kNoExpert)
            for (const ExpertId e : experts) ++cell[e];
        }
    }
    return out;
  }

  const TokenTable& table_;
  std::span<const std::size_t> begins_;         // [prompts + 1]
  std::vector<std::size_t> first_row_, times_;  // [prompts]
  std::vector<std::size_t> prompt_;             // [rows]
  RowLabels labels_;                            // [rows]
};

}  // namespace detail

/// Length, vocabulary and context of D. Bands come from the draws of bootstrap.hpp, n - 1 prompts (or whole groups) of
/// each task, with shuffles of its own in each; where `length` is given its band is the closed form's, moved.
[[nodiscard]] Decomposition decompose(const TokenTable& table, const DecompositionOptions& options = {},
                                      const Progress& progress = {});

}  // namespace routesig
