/// \file overlap_ladder.hpp
/// How many experts do two tokens share, if they are the same word or not, in prompts of one task or of two? Free of
/// prompt length, and the difference between tasks at equal vocabulary.
///
///     const auto ladder = routesig::overlap_ladder(routesig::token_table(traces), {.shuffles = 200});
///     const auto same_word = ladder.layers[3].overlap[routesig::kSameIdSameTask];   // share of top_k, or nothing
///     if (ladder.effect) use(ladder.effect->observed, ladder.effect->p.value);
///
/// Over pairs of tokens from different prompts; |E_s & E_t| is summed by counting experts, never by visiting pairs.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "routesig/interrupt.hpp"
#include "routesig/parallel.hpp"
#include "routesig/token_shuffle.hpp"
#include "routesig/token_table.hpp"

namespace routesig {

/// The rungs: places in the arrays of four below.
inline constexpr std::size_t kSameIdSameTask = 0;
inline constexpr std::size_t kSameIdOtherTask = 1;
inline constexpr std::size_t kOtherIdSameTask = 2;
inline constexpr std::size_t kOtherIdOtherTask = 3;

using Rungs = std::array<std::optional<double>, 4>;

struct LadderLayer {
  Rungs overlap{};                       ///< sum |E_s & E_t| / (top_k x pairs); absent without a pair
  std::array<std::uint64_t, 4> pairs{};  ///< pairs of tokens from different prompts
  std::optional<double> chance{};        ///< sum pi_e^2 / top_k, pi_e the share of tokens that chose expert e
  std::optional<double> effect{};        ///< Delta of this layer
};

struct OverlapLadder {
  std::vector<LadderLayer> layers{};
  Rungs overlap{};                 ///< means over the layers that have the rung
  std::optional<double> chance{};  ///< mean over layers
  /// Vocabulary-matched effect Delta = sum_v w_v (O_v(same task) - O_v(other task)) / sum_v w_v over token ids v, with
  /// w = n_s n_d / (n_s + n_d) of their pairs; mean over layers. Absent where no id has both kinds of pairs.
  std::optional<ShuffleTest> effect{};
  std::vector<std::optional<ShuffleTest>> layer_effects{};  ///< [layers]; p not adjusted for their number
  std::size_t token_ids = 0;                                ///< ids with both kinds of pairs in some layer
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

/// Shared experts and pairs, ordered pairs from different prompts.
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
  Overlap same;   // prompts of one task
  Overlap other;  // prompts of two tasks
  Overlap own;    // one prompt, each token with itself too
};

/// Walks rows in the order task, prompt, and gives the overlap of pairs from different prompts.
class OverlapWalk {
 public:
  explicit OverlapWalk(std::size_t experts) : prompt_(experts), task_(experts), all_(experts) {}

  void add(std::uint32_t prompt, int task, std::span<const ExpertId> row) {
    if (prompt != last_prompt_) close_prompt();
    if (task != last_task_) close_task();
    last_prompt_ = prompt;
    last_task_ = task;
    prompt_.add(row);
    task_.add(row);
    all_.add(row);
  }
  /// The overlap of everything added; call once, then `clear`.
  [[nodiscard]] TaskOverlap finish() {
    close_prompt();
    close_task();
    Overlap whole;
    whole.add(all_);
    TaskOverlap out;
    out.same.add_difference(tasks_, prompts_);
    out.other.add_difference(whole, tasks_);
    out.own = prompts_;
    return out;
  }
  void clear() {
    all_.clear();
    prompts_ = tasks_ = {};
  }
  [[nodiscard]] const SharedExperts& all() const noexcept { return all_; }

 private:
  void close_prompt() {
    prompts_.add(prompt_);
    prompt_.clear();
  }
  void close_task() {
    tasks_.add(task_);
    task_.clear();
  }

  SharedExperts prompt_, task_, all_;
  Overlap prompts_, tasks_;
  std::uint32_t last_prompt_ = 0;
  int last_task_ = 0;
};

/// Tokens by id, then task and prompt.
[[nodiscard]] inline std::vector<std::uint32_t> by_token_id(const TokenTable& table) {
  std::vector<std::uint32_t> order = table.unshuffled();
  std::ranges::stable_sort(order, {}, [&](std::uint32_t t) { return table.token_id[t]; });
  return order;
}

/// Calls visit(overlap of one id) for every id of one layer, when token t has the routing of source[t].
template <typename Visit>
void for_each_id(const TokenTable& table, std::span<const std::uint32_t> order, std::span<const std::uint32_t> source,
                 std::size_t layer, const Visit& visit) {
  OverlapWalk walk(table.experts);
  for (std::size_t i = 0; i < order.size(); ++i) {
    const std::uint32_t t = order[i];
    const auto row = table.row(source[t], layer);
    if (row[0] != kNoExpert) walk.add(table.prompt[t], table.task[table.prompt[t]], row);
    if (i + 1 < order.size() && table.token_id[order[i + 1]] == table.token_id[t]) continue;
    interruption_point();
    visit(table.token_id[t], walk.finish());
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

/// Delta of every layer under shuffles. A shuffle stays within token ids and keeps what is known, so that only the
/// experts shared within tasks and within prompts have to be counted, of ids that have pairs of both kinds.
class MatchedEffects {
 public:
  MatchedEffects(const TokenTable& table, std::span<const std::uint32_t> order) : table_(table), order_(order) {
    std::vector<TaskOverlap> overlaps;  // [layers, ids]
    const std::vector<std::uint32_t> source = table.unshuffled();
    for (std::size_t l = 0; l < table.layers; ++l)
      for_each_id(table, order, source, l, [&](std::int32_t, const TaskOverlap& one) { overlaps.push_back(one); });
    std::vector<std::size_t> ends;
    for (std::size_t i = 0; i < order.size(); ++i)
      if (i + 1 == order.size() || table.token_id[order[i + 1]] != table.token_id[order[i]]) ends.push_back(i + 1);
    for (std::size_t id = 0; id < ends.size(); ++id) {
      Id one{.begin = id == 0 ? 0 : ends[id - 1], .end = ends[id]};
      for (std::size_t l = 0; l < table.layers; ++l) one.layers.push_back(overlaps[l * ends.size() + id]);
      if (std::ranges::any_of(one.layers, [](const TaskOverlap& x) { return x.same.pairs > 0 && x.other.pairs > 0; }))
        ids_.push_back(std::move(one));
    }
  }

  /// When token t has the routing of source[t]: [layers]. A layer without it is without it under every shuffle.
  [[nodiscard]] std::vector<std::optional<double>> operator()(std::span<const std::uint32_t> source) const {
    std::vector<EffectSum> sums(table_.layers);
    Blocks tasks(table_, [&](std::uint32_t t) { return static_cast<std::uint32_t>(table_.task[table_.prompt[t]]); });
    Blocks prompts(table_, [&](std::uint32_t t) { return table_.prompt[t]; });
    for (const Id& id : ids_) {
      interruption_point();
      const auto tokens = order_.subspan(id.begin, id.end - id.begin);
      const std::vector<std::uint64_t>&in_tasks = tasks.shared(tokens, source),
            &in_prompts = prompts.shared(tokens, source);
      for (std::size_t l = 0; l < table_.layers; ++l) {
        TaskOverlap shuffled = id.layers[l];
        const std::uint64_t all = shuffled.same.shared + shuffled.other.shared + shuffled.own.shared;
        shuffled.same.shared = in_tasks[l] - in_prompts[l];
        shuffled.other.shared = all - in_tasks[l];
        sums[l].add(shuffled, table_.top_k);
      }
    }
    std::vector<std::optional<double>> out;
    out.reserve(sums.size());
    for (const EffectSum& sum : sums) out.push_back(sum.value());
    return out;
  }

 private:
  struct Id {
    std::size_t begin, end;             // in order_
    std::vector<TaskOverlap> layers{};  // [layers]
  };

  /// Experts shared within blocks of one id's tokens, all layers of a token at a time.
  template <typename BlockOf>
  class Blocks {
   public:
    Blocks(const TokenTable& table, BlockOf block_of)
        : table_(table), block_of_(std::move(block_of)), counts_(table.layers * table.experts), shared_(table.layers) {}

    /// Over ordered pairs, a token with itself too: [layers].
    [[nodiscard]] const std::vector<std::uint64_t>& shared(std::span<const std::uint32_t> tokens,
                                                           std::span<const std::uint32_t> source) {
      std::ranges::fill(shared_, 0U);
      for (std::size_t begin = 0, end = 0; begin < tokens.size(); begin = end) {
        const std::uint32_t block = block_of_(tokens[begin]);
        while (end < tokens.size() && block_of_(tokens[end]) == block) ++end;
        if (end - begin == 1)
          add_one(source[tokens[begin]]);
        else
          add_some(tokens.subspan(begin, end - begin), source);
      }
      return shared_;
    }

   private:
    void add_one(std::uint32_t token) {
      for (std::size_t l = 0; l < table_.layers; ++l)
        if (table_.row(token, l)[0] != kNoExpert) shared_[l] += table_.top_k;
    }
    void add_some(std::span<const std::uint32_t> tokens, std::span<const std::uint32_t> source) {
      std::ranges::fill(counts_, 0U);
      for (const std::uint32_t t : tokens)
        for (std::size_t l = 0; l < table_.layers; ++l) {
          const auto row = table_.row(source[t], l);
          if (row[0] == kNoExpert) continue;
          std::uint32_t* const counts = counts_.data() + l * table_.experts;
          std::uint64_t before = 0;
          for (const ExpertId e : row) before += counts[e]++;
          shared_[l] += 2 * before + row.size();
        }
    }

    const TokenTable& table_;
    BlockOf block_of_;
    std::vector<std::uint32_t> counts_;  // [layers, experts]
    std::vector<std::uint64_t> shared_;  // [layers]
  };

  const TokenTable& table_;
  std::span<const std::uint32_t> order_;
  std::vector<Id> ids_;
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

[[nodiscard]] inline LadderLayer ladder_layer(const TokenTable& table, std::span<const std::uint32_t> order,
                                              std::size_t layer, std::vector<std::uint8_t>& matched) {
  const std::vector<std::uint32_t> source = table.unshuffled();
  TaskOverlap same_id;
  EffectSum effect;
  std::size_t id = 0;
  for_each_id(table, order, source, layer, [&](std::int32_t, const TaskOverlap& of_id) {
    same_id.same.add_difference(of_id.same, {});
    same_id.other.add_difference(of_id.other, {});
    effect.add(of_id, table.top_k);
    if (of_id.same.pairs > 0 && of_id.other.pairs > 0) matched[id] = 1;
    ++id;
  });
  OverlapWalk walk(table.experts);
  for (std::size_t t = 0; t < table.tokens(); ++t)
    if (const auto row = table.row(t, layer); row[0] != kNoExpert)
      walk.add(table.prompt[t], table.task[table.prompt[t]], row);
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

/// Delta, overall and per layer, against the same-token shuffle.
inline void test_effects(const TokenTable& table, std::span<const std::uint32_t> order, const ShuffleOptions& options,
                         const Progress& progress, OverlapLadder& out) {
  out.layer_effects.resize(table.layers);
  const std::optional<double> observed = mean_present(out.layers, &LadderLayer::effect);
  if (!observed) return;
  const MatchedEffects effects(table, order);
  std::vector<double> draws(options.shuffles), layer_draws(options.shuffles * table.layers);
  parallel_for(
      options.shuffles, 1,
      [&](std::size_t begin, std::size_t end) {
        for (std::size_t r = begin; r < end; ++r) {
          const auto drawn = effects(table.shuffled(options.seed, r));
          draws[r] = mean_present(drawn, std::identity()).value_or(0.0);
          for (std::size_t l = 0; l < table.layers; ++l) layer_draws[r * table.layers + l] = drawn[l].value_or(0.0);
        }
      },
      progress);
  out.effect = shuffle_test(*observed, std::move(draws));
  for (std::size_t l = 0; l < table.layers; ++l)
    if (const auto& effect = out.layers[l].effect)
      out.layer_effects[l] = shuffle_test(*effect, column(layer_draws, table.layers, l));
}

}  // namespace detail

/// The ladder of every layer and its means, and the vocabulary-matched effect with its p from the same-token shuffle.
[[nodiscard]] inline OverlapLadder overlap_ladder(const TokenTable& table, const ShuffleOptions& options = {},
                                                  const Progress& progress = {}) {
  detail::check_shuffles(options);
  const std::vector<std::uint32_t> order = detail::by_token_id(table);
  OverlapLadder out;
  out.layers.resize(table.layers);
  std::vector<std::vector<std::uint8_t>> matched(table.layers, std::vector<std::uint8_t>(table.tokens()));
  parallel_for(table.layers, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t l = begin; l < end; ++l) out.layers[l] = detail::ladder_layer(table, order, l, matched[l]);
  });
  for (std::size_t i = 0; i < table.tokens(); ++i)
    out.token_ids += std::ranges::any_of(matched, [&](const auto& layer) { return layer[i] != 0; }) ? 1U : 0U;

  for (std::size_t rung = 0; rung < 4; ++rung)
    out.overlap[rung] = detail::mean_present(out.layers, [&](const LadderLayer& layer) { return layer.overlap[rung]; });
  out.chance = detail::mean_present(out.layers, &LadderLayer::chance);
  detail::test_effects(table, order, options, progress, out);
  return out;
}

}  // namespace routesig
