/// \file overlap_ladder.hpp
/// How many experts do two tokens share, if they are the same word or not, in prompts of one task or of two? Free of
/// prompt length, and the difference between tasks at equal vocabulary.
///
///     const auto ladder = routesig::overlap_ladder(routesig::token_table(traces), {.permutations = 1'000});
///     const auto same_word = ladder.layers[3].overlap[routesig::kSameIdSameTask];   // share of top_k, or nothing
///     if (ladder.effect && ladder.effect->p) use(ladder.effect->observed, ladder.effect->p->value);
///
/// Over pairs of tokens from different prompts, and from different groups where prompts have them; |E_s & E_t| is
/// summed by counting experts, never by visiting pairs.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "routesig/interrupt.hpp"
#include "routesig/labelling.hpp"
#include "routesig/parallel.hpp"
#include "routesig/statistics.hpp"
#include "routesig/token_table.hpp"
#include "routesig/unit_pairs.hpp"

namespace routesig {

/// The rungs: places in the arrays of four below.
inline constexpr std::size_t kSameIdSameTask = 0;
inline constexpr std::size_t kSameIdOtherTask = 1;
inline constexpr std::size_t kOtherIdSameTask = 2;
inline constexpr std::size_t kOtherIdOtherTask = 3;

using Rungs = std::array<std::optional<double>, 4>;

struct LadderLayer {
  Rungs overlap{};                       ///< sum |E_s & E_t| / (top_k x pairs); absent without a pair
  std::array<std::uint64_t, 4> pairs{};  ///< pairs of tokens from different prompts (groups)
  std::optional<double> chance{};        ///< sum pi_e^2 / top_k, pi_e the share of tokens that chose expert e
  std::optional<double> effect{};        ///< Delta of this layer
};

/// Delta as observed, and under permuted labels of prompts (or whole groups).
struct EffectTest {
  double observed = 0.0;
  Spread null{};              ///< over the labellings
  std::optional<PValue> p{};  ///< one-sided; absent where no other labelling is possible
};

struct OverlapLadder {
  std::vector<LadderLayer> layers{};
  Rungs overlap{};                 ///< means over the layers that have the rung
  std::optional<double> chance{};  ///< mean over layers
  /// Vocabulary-matched effect Delta = sum_v w_v (O_v(same task) - O_v(other task)) / sum_v w_v over token ids v, with
  /// w = n_s n_d / (n_s + n_d) of their pairs; mean over layers. Absent where no id has both kinds of pairs.
  std::optional<EffectTest> effect{};
  std::vector<std::optional<EffectTest>> layer_effects{};  ///< [layers]; p not adjusted for their number
  std::size_t units = 0;                                   ///< prompts, or groups, whose labels were permuted
  std::size_t permutations = 0;                            ///< labellings looked at
  std::size_t token_ids = 0;                               ///< ids with both kinds of pairs in some layer
};

namespace detail {

/// Sum over ordered pairs of rows, each with itself included, of the experts they share; and the number of rows.
class SharedExperts {
 public:
  explicit SharedExperts(std::size_t experts) : counts_(experts) {}

  void add(std::span<const ExpertId> row) {
    for (const ExpertId e : row) shared_ += 2 * std::uint64_t{counts_[e]++} + 1;
    ++rows_;
  }
  void clear() {
    std::ranges::fill(counts_, 0U);
    shared_ = rows_ = 0;
  }
  [[nodiscard]] std::uint64_t shared() const noexcept { return shared_; }
  [[nodiscard]] std::uint64_t pairs() const noexcept { return rows_ * rows_; }
  [[nodiscard]] std::uint64_t rows() const noexcept { return rows_; }
  [[nodiscard]] std::span<const std::uint32_t> counts() const noexcept { return counts_; }

 private:
  std::vector<std::uint32_t> counts_;
  std::uint64_t shared_ = 0;
  std::uint64_t rows_ = 0;
};

/// Shared experts and pairs, over ordered pairs of tokens.
struct Overlap {
  std::uint64_t shared = 0;
  std::uint64_t pairs = 0;

  /// Adds what `all` has beyond `part`.
  void add_difference(const Overlap& all, const Overlap& part) {
    shared += all.shared - part.shared;
    pairs += all.pairs - part.pairs;
  }
  void add(const SharedExperts& block) {
    shared += block.shared();
    pairs += block.pairs();
  }
  [[nodiscard]] double mean(std::size_t top_k) const {
    return static_cast<double>(shared) / (static_cast<double>(pairs) * static_cast<double>(top_k));
  }
};

struct TaskOverlap {
  Overlap same;   // units of one task
  Overlap other;  // units of two tasks
  Overlap own;    // one unit, each token with itself too
};

/// Walks rows in the order task, unit, and gives the overlap of pairs from different units.
class OverlapWalk {
 public:
  explicit OverlapWalk(std::size_t experts) : unit_(experts), task_(experts), all_(experts) {}

  void add(int unit, int task, std::span<const ExpertId> row) {
    if (unit != last_unit_) close_unit();
    if (task != last_task_) close_task();
    last_unit_ = unit;
    last_task_ = task;
    unit_.add(row);
    task_.add(row);
    all_.add(row);
  }
  /// The overlap of everything added; call once, then `clear`.
  [[nodiscard]] TaskOverlap finish() {
    close_unit();
    close_task();
    Overlap whole;
    whole.add(all_);
    TaskOverlap out;
    out.same.add_difference(tasks_, units_);
    out.other.add_difference(whole, tasks_);
    out.own = units_;
    return out;
  }
  void clear() {
    all_.clear();
    units_ = tasks_ = {};
  }
  [[nodiscard]] const SharedExperts& all() const noexcept { return all_; }

 private:
  void close_unit() {
    units_.add(unit_);
    unit_.clear();
  }
  void close_task() {
    tasks_.add(task_);
    task_.clear();
  }

  SharedExperts unit_, task_, all_;
  Overlap units_, tasks_;
  int last_unit_ = 0, last_task_ = 0;
};

/// The tokens of a table by id, then task and unit.
struct TokensById {
  const TokenTable& table;
  Units units;
  std::vector<std::uint32_t> order;  // [tokens]

  explicit TokensById(const TokenTable& all) : table(all), units(all.units()), order(all.unshuffled()) {
    std::ranges::stable_sort(order, {}, [&](std::uint32_t t) { return table.token_id[t]; });
  }
  [[nodiscard]] int unit(std::uint32_t token) const { return units.of(table.prompt[token]); }
  [[nodiscard]] int task(std::uint32_t token) const { return table.task[table.prompt[token]]; }
  /// Whether an id ends at a place of the order.
  [[nodiscard]] bool ends(std::size_t place) const {
    return place + 1 == order.size() || table.token_id[order[place + 1]] != table.token_id[order[place]];
  }
};

/// Calls visit(overlap of one id) for every id of one layer.
template <typename Visit>
void for_each_id(const TokensById& tokens, std::size_t layer, const Visit& visit) {
  OverlapWalk walk(tokens.table.experts);
  for (std::size_t i = 0; i < tokens.order.size(); ++i) {
    const std::uint32_t t = tokens.order[i];
    const auto row = tokens.table.row(t, layer);
    if (row[0] != kNoExpert) walk.add(tokens.unit(t), tokens.task(t), row);
    if (!tokens.ends(i)) continue;
    interruption_point();
    visit(walk.finish());
    walk.clear();
  }
}

/// Delta of one layer, its terms added id by id.
struct EffectSum {
  double weighted = 0.0;
  double weights = 0.0;

  void add(const TaskOverlap& of_id, std::size_t top_k) {
    const auto same = static_cast<double>(of_id.same.pairs), other = static_cast<double>(of_id.other.pairs);
    if (same == 0.0 || other == 0.0) return;
    const double weight = same * other / (same + other);
    weighted += weight * (of_id.same.mean(top_k) - of_id.other.mean(top_k));
    weights += weight;
  }
  [[nodiscard]] std::optional<double> value() const {
    return weights > 0.0 ? std::optional(weighted / weights) : std::nullopt;
  }
};

/// Delta of every layer under labels of units. Only the experts that are shared within tasks have to be counted anew.
class MatchedEffects {
 public:
  explicit MatchedEffects(const TokensById& tokens) : tokens_(tokens) {
    const std::size_t layers = tokens.table.layers;
    std::vector<TaskOverlap> overlaps;  // [layers, ids]
    for (std::size_t l = 0; l < layers; ++l)
      for_each_id(tokens, l, [&](const TaskOverlap& one) { overlaps.push_back(one); });
    const std::size_t all = layers > 0 ? overlaps.size() / layers : 0;
    for (std::size_t i = 0, begin = 0, id = 0; i < tokens.order.size(); ++i) {
      if (!tokens.ends(i)) continue;
      Id one{.begin = begin, .end = i + 1};
      bool pairs = false;
      for (std::size_t l = 0; l < layers; ++l) {
        one.layers.push_back(overlaps[l * all + id]);
        pairs = pairs || one.layers.back().same.pairs + one.layers.back().other.pairs > 0;
      }
      if (pairs) ids_.push_back(std::move(one));
      begin = i + 1;
      ++id;
    }
  }

  /// `label` is [units], below `tasks`: [layers]; absent where no id has both kinds of pairs.
  [[nodiscard]] std::vector<std::optional<double>> operator()(std::span<const std::uint32_t> label,
                                                              std::size_t tasks) const {
    const TokenTable& table = tokens_.table;
    std::vector<EffectSum> sums(table.layers);
    std::vector<Overlap> within(table.layers);
    SharedInBlocks blocks(table, tasks);
    for (const Id& id : ids_) {
      interruption_point();
      blocks.count(
          std::span(tokens_.order).subspan(id.begin, id.end - id.begin),
          [&](std::uint32_t t) { return label[static_cast<std::size_t>(tokens_.unit(t))]; }, within);
      for (std::size_t l = 0; l < table.layers; ++l) {
        const TaskOverlap& observed = id.layers[l];
        TaskOverlap labelled;
        labelled.own = observed.own;
        labelled.same.add_difference(within[l], observed.own);
        labelled.other = {observed.same.shared + observed.other.shared - labelled.same.shared,
                          observed.same.pairs + observed.other.pairs - labelled.same.pairs};
        sums[l].add(labelled, table.top_k);
      }
    }
    std::vector<std::optional<double>> out;
    out.reserve(sums.size());
    for (const EffectSum& sum : sums) out.push_back(sum.value());
    return out;
  }

 private:
  struct Id {
    std::size_t begin, end;             // in the order of tokens
    std::vector<TaskOverlap> layers{};  // [layers], as observed
  };

  /// Experts shared within blocks of tokens, all layers of a token at a time.
  class SharedInBlocks {
   public:
    SharedInBlocks(const TokenTable& table, std::size_t blocks)
        : table_(table), tokens_(blocks), counts_(table.layers * table.experts), rows_(table.layers) {}

    /// Over ordered pairs within blocks, a token with itself too: `out` [layers].
    template <typename BlockOf>
    void count(std::span<const std::uint32_t> tokens, const BlockOf& block_of, std::span<Overlap> out) {
      std::ranges::fill(out, Overlap{});
      for (const std::uint32_t t : tokens) tokens_[block_of(t)].push_back(t);
      for (auto& block : tokens_) {
        if (block.size() == 1)
          add_one(block.front(), out);
        else if (!block.empty())
          add_some(block, out);
        block.clear();
      }
    }

   private:
    void add_one(std::uint32_t token, std::span<Overlap> out) const {
      for (std::size_t l = 0; l < table_.layers; ++l)
        if (table_.row(token, l)[0] != kNoExpert) {
          out[l].shared += table_.top_k;
          ++out[l].pairs;
        }
    }
    void add_some(std::span<const std::uint32_t> tokens, std::span<Overlap> out) {
      std::ranges::fill(counts_, 0U);
      std::ranges::fill(rows_, 0U);
      for (const std::uint32_t t : tokens)
        for (std::size_t l = 0; l < table_.layers; ++l) {
          const auto row = table_.row(t, l);
          if (row[0] == kNoExpert) continue;
          std::uint32_t* const counts = counts_.data() + l * table_.experts;
          std::uint64_t before = 0;
          for (const ExpertId e : row) before += counts[e]++;
          out[l].shared += 2 * before + row.size();
          ++rows_[l];
        }
      for (std::size_t l = 0; l < table_.layers; ++l) out[l].pairs += rows_[l] * rows_[l];
    }

    const TokenTable& table_;
    std::vector<std::vector<std::uint32_t>> tokens_;  // [blocks]
    std::vector<std::uint32_t> counts_;               // [layers, experts]
    std::vector<std::uint64_t> rows_;                 // [layers]
  };

  const TokensById& tokens_;
  std::vector<Id> ids_;  // those that occur in two units
};

/// Mean of those optional numbers of the items that are there.
template <typename Items, typename Projection>
[[nodiscard]] std::optional<double> mean_present(const Items& items, const Projection& projection) {
  double sum = 0.0, count = 0.0;
  for (const auto& item : items) {
    const std::optional<double> value = std::invoke(projection, item);
    sum += value.value_or(0.0);
    count += value ? 1.0 : 0.0;
  }
  return count > 0.0 ? std::optional(sum / count) : std::nullopt;
}

[[nodiscard]] inline LadderLayer ladder_layer(const TokensById& tokens, std::size_t layer,
                                              std::vector<std::uint8_t>& matched) {
  const TokenTable& table = tokens.table;
  TaskOverlap same_id;
  EffectSum effect;
  std::size_t id = 0;
  for_each_id(tokens, layer, [&](const TaskOverlap& of_id) {
    same_id.same.add_difference(of_id.same, {});
    same_id.other.add_difference(of_id.other, {});
    effect.add(of_id, table.top_k);
    if (of_id.same.pairs > 0 && of_id.other.pairs > 0) matched[id] = 1;
    ++id;
  });
  OverlapWalk walk(table.experts);
  for (std::uint32_t t = 0; t < table.tokens(); ++t)
    if (const auto row = table.row(t, layer); row[0] != kNoExpert) walk.add(tokens.unit(t), tokens.task(t), row);
  const TaskOverlap any = walk.finish();

  LadderLayer out{.effect = effect.value()};
  Overlap other_id_same, other_id_other;
  other_id_same.add_difference(any.same, same_id.same);
  other_id_other.add_difference(any.other, same_id.other);
  const std::array<Overlap, 4> rungs{same_id.same, same_id.other, other_id_same, other_id_other};
  for (std::size_t rung = 0; rung < 4; ++rung) {
    out.pairs[rung] = rungs[rung].pairs / 2;  // ordered pairs were counted
    if (rungs[rung].pairs > 0) out.overlap[rung] = rungs[rung].mean(table.top_k);
  }
  if (const auto rows = static_cast<double>(walk.all().rows()); rows > 0.0) {
    double sum = 0.0;
    for (const std::uint32_t count : walk.all().counts()) sum += (count / rows) * (count / rows);
    out.chance = sum / static_cast<double>(table.top_k);
  }
  return out;
}

/// Delta as observed against its values under labellings, NaN where one has none: that counts against the observed one.
[[nodiscard]] inline EffectTest effect_test(double observed, std::vector<double> draws, const Labellings& labellings) {
  EffectTest out{.observed = observed};
  std::vector<double> against = draws;
  std::ranges::replace_if(against, [](double x) { return std::isnan(x); }, HUGE_VAL);
  if (labellings.floor() < 1.0) out.p = labellings.p_value(observed, against);
  std::erase_if(draws, [](double x) { return std::isnan(x); });
  out.null = spread(std::move(draws));
  return out;
}

/// Delta, overall and per layer, under permuted labels.
inline void test_effects(const TokensById& tokens, LabellingOptions options, const Progress& progress,
                         OverlapLadder& out) {
  const TokenTable& table = tokens.table;
  out.layer_effects.resize(table.layers);
  out.units = tokens.units.size();
  const std::optional<double> observed = mean_present(out.layers, &LadderLayer::effect);
  if (!observed) return;
  options.purpose = Draws::matched_effect;
  const Labellings labellings(tokens.units, options);
  out.permutations = labellings.size();
  const MatchedEffects effects(tokens);
  constexpr double absent = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> draws(labellings.size());
  std::vector<std::vector<double>> layer_draws(table.layers, draws);
  const auto work = [&](std::size_t begin, std::size_t end) {
    std::vector<std::uint32_t> label(tokens.units.size());
    for (std::size_t i = begin; i < end; ++i) {
      labellings.fill(i, label);
      const auto drawn = effects(label, labellings.tasks());
      draws[i] = mean_present(drawn, std::identity()).value_or(absent);
      for (std::size_t l = 0; l < table.layers; ++l) layer_draws[l][i] = drawn[l].value_or(absent);
    }
  };
  parallel_for(draws.size(), 4, work, progress);
  out.effect = effect_test(*observed, std::move(draws), labellings);
  for (std::size_t l = 0; l < table.layers; ++l)
    if (const auto& effect = out.layers[l].effect)
      out.layer_effects[l] = effect_test(*effect, std::move(layer_draws[l]), labellings);
}

}  // namespace detail

/// The ladder of every layer and its means, and the vocabulary-matched effect with its p under permuted labels of
/// prompts, of whole groups where there are groups: equal words routed alike in each prompt for itself are no effect of
/// the task. `options.source` is [prompts of the table] or empty.
[[nodiscard]] inline OverlapLadder overlap_ladder(const TokenTable& table,
                                                  const LabellingOptions& options = {.permutations = 1'000},
                                                  const Progress& progress = {}) {
  const detail::TokensById tokens(table);
  OverlapLadder out;
  out.layers.resize(table.layers);
  std::vector<std::vector<std::uint8_t>> matched(table.layers, std::vector<std::uint8_t>(table.tokens()));
  parallel_for(table.layers, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t l = begin; l < end; ++l) out.layers[l] = detail::ladder_layer(tokens, l, matched[l]);
  });
  for (std::size_t i = 0; i < table.tokens(); ++i)
    out.token_ids += std::ranges::any_of(matched, [&](const auto& layer) { return layer[i] != 0; }) ? 1U : 0U;

  for (std::size_t rung = 0; rung < 4; ++rung)
    out.overlap[rung] = detail::mean_present(out.layers, [&](const LadderLayer& layer) { return layer.overlap[rung]; });
  out.chance = detail::mean_present(out.layers, &LadderLayer::chance);
  detail::test_effects(tokens, options, progress, out);
  return out;
}

}  // namespace routesig
