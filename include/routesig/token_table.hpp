/// \file token_table.hpp
/// All tokens of a set of labelled prompts in one table, and the strata within which their routing may be exchanged.
///
///     const routesig::TokenTable table = routesig::token_table(traces);
///     const auto source = table.shuffled(/*seed=*/0, /*repetition=*/3);   // whose routing each token receives
///     const auto counts = table.counts(source);                           // [prompts, layers, experts]
///
/// Prompts are ordered by task, group and id, so that nothing made from a table depends on the order of the traces, and
/// prompts of one group lie together.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <numeric>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "routesig/interrupt.hpp"
#include "routesig/random.hpp"
#include "routesig/signature.hpp"
#include "routesig/unit_pairs.hpp"

namespace routesig {

struct TokenTableOptions {
  TokenSet tokens = TokenSet::all;
  bool drop_invalid = false;  ///< treat impossible rows as unknown (counted) instead of refusing them
  bool groups = true;         ///< keep the prompts' groups; false: each prompt is alone
};

struct TokenTable {
  std::size_t layers = 0;
  std::size_t experts = 0;
  std::size_t top_k = 0;

  std::vector<std::size_t> trace{};      ///< [prompts] index of each prompt's trace
  std::vector<int> task{};               ///< [prompts] 0, 0, ..., 1, 1, ...: ascending
  std::vector<int> group{};              ///< [prompts] number of the prompt's group; -1 where it has none
  std::vector<std::uint32_t> prompt{};   ///< [tokens] ascending
  std::vector<std::int32_t> token_id{};  ///< [tokens]
  std::vector<ExpertId> rows{};          ///< [tokens, layers, top_k]; kNoExpert where a layer is unknown
  /// The tokens of each stratum that spans two prompts or more. A stratum: same token id, prompt or generated, first
  /// position or not, and the same layers known. All other tokens stay where they are.
  std::vector<std::vector<std::uint32_t>> strata{};

  std::size_t movable = 0;                ///< tokens in those strata
  std::size_t across_tasks = 0;           ///< tokens in strata that span two tasks or more
  std::vector<std::size_t> unlabelled{};  ///< traces left out because they have no task
  std::vector<std::size_t> empty{};       ///< labelled traces left out because no token of the set has known routing
  std::uint64_t unknown_rows = 0;         ///< rows of the set, of labelled prompts, without known routing
  std::uint64_t dropped_rows = 0;         ///< impossible rows left out by drop_invalid

  /// Prompts and groups as `separation` sees them. Throws where a group has prompts of two tasks.
  [[nodiscard]] Units units() const { return Units(task, group); }
  [[nodiscard]] std::size_t prompts() const noexcept { return task.size(); }
  [[nodiscard]] std::size_t tokens() const noexcept { return prompt.size(); }
  [[nodiscard]] std::size_t tasks() const noexcept {
    return task.empty() ? 0 : static_cast<std::size_t>(task.back()) + 1;
  }
  /// The experts of one layer of one token; the first is kNoExpert where unknown. [top_k]
  [[nodiscard]] std::span<const ExpertId> row(std::size_t token, std::size_t layer) const noexcept {
    return std::span(rows).subspan((token * layers + layer) * top_k, top_k);
  }

  /// [prompts + 1] Where the tokens of every prompt begin, and where the last one's end.
  [[nodiscard]] std::vector<std::size_t> begins() const {
    std::vector<std::size_t> out(prompts() + 1);
    for (const std::uint32_t p : prompt) ++out[p + 1];
    std::partial_sum(out.begin(), out.end(), out.begin());
    return out;
  }
  /// Those tokens alone whose stratum spans two tasks or more, and the prompts that have any.
  [[nodiscard]] TokenTable crossing() const;

  /// [tokens] Every token receives its own routing.
  [[nodiscard]] std::vector<std::uint32_t> unshuffled() const {
    std::vector<std::uint32_t> source(tokens());
    std::iota(source.begin(), source.end(), 0U);
    return source;
  }
  /// [tokens] Whose routing each token receives in one shuffle within strata: a function of seed and repetition alone.
  [[nodiscard]] std::vector<std::uint32_t> shuffled(std::uint64_t seed, std::uint64_t repetition) const {
    std::vector<std::uint32_t> source = unshuffled(), order;
    Random random(seed, stream(Draws::token_shuffle, repetition));
    for (const auto& stratum : strata) {
      order = stratum;
      random.shuffle(std::span(order));
      for (std::size_t i = 0; i < order.size(); ++i) source[stratum[i]] = order[i];
    }
    return source;
  }
  /// Tokens that chose each expert, [prompts, layers, experts], when token t has the routing of source[t].
  [[nodiscard]] std::vector<std::uint32_t> counts(std::span<const std::uint32_t> source) const {
    std::vector<std::uint32_t> out(prompts() * layers * experts);
    for (std::size_t t = 0; t < tokens(); ++t) {
      if (t % 1024 == 0) interruption_point();
      for (std::size_t l = 0; l < layers; ++l) {
        const auto experts_of = row(source[t], l);
        std::uint32_t* const cell = out.data() + (prompt[t] * layers + l) * experts;
        if (experts_of[0] != kNoExpert)
          for (const ExpertId e : experts_of) ++cell[e];
      }
    }
    return out;
  }
};

inline TokenTable TokenTable::crossing() const {
  constexpr std::uint32_t kGone = 0xFFFF'FFFF;
  std::vector<std::uint32_t> place(tokens(), kGone);
  TokenTable out{.layers = layers, .experts = experts, .top_k = top_k};
  for (const auto& stratum : strata)
    if (task[prompt[stratum.front()]] != task[prompt[stratum.back()]])
      for (const std::uint32_t t : stratum) place[t] = 0;
  std::uint32_t last = kGone;
  for (std::size_t t = 0; t < tokens(); ++t) {
    if (place[t] == kGone) continue;
    if (prompt[t] != last) {
      last = prompt[t];
      out.trace.push_back(trace[last]);
      out.task.push_back(task[last]);
      out.group.push_back(group[last]);
    }
    place[t] = static_cast<std::uint32_t>(out.tokens());
    out.prompt.push_back(static_cast<std::uint32_t>(out.prompts() - 1));
    out.token_id.push_back(token_id[t]);
    out.rows.insert(out.rows.end(), rows.begin() + static_cast<std::ptrdiff_t>(t * layers * top_k),
                    rows.begin() + static_cast<std::ptrdiff_t>((t + 1) * layers * top_k));
  }
  for (const auto& stratum : strata) {
    if (place[stratum.front()] == kGone) continue;
    auto& kept = out.strata.emplace_back(stratum);
    for (std::uint32_t& t : kept) t = place[t];
  }
  out.movable = out.across_tasks = out.tokens();
  return out;
}

namespace detail {

/// (token id, generated, first position, number of the pattern of known layers)
using StratumKey = std::tuple<std::int32_t, bool, bool, std::size_t>;

class TokenTableBuilder {
 public:
  TokenTableBuilder(std::span<const RoutingTrace> traces, const TokenTableOptions& options)
      : traces_(traces), options_(options) {}

  [[nodiscard]] TokenTable build() && {
    const std::vector<std::size_t> order = labelled();
    if (!traces_.empty()) {
      table_.layers = static_cast<std::size_t>(traces_[0].layers());
      table_.experts = static_cast<std::size_t>(traces_[0].info().experts);
      table_.top_k = static_cast<std::size_t>(traces_[0].top_k());
    }
    const std::vector<int> groups = options_.groups ? group_numbers(traces_) : std::vector<int>(traces_.size(), -1);
    const std::string* last = nullptr;
    int task = -1;
    for (const std::size_t i : order) {
      interruption_point();
      const std::string& name = traces_[i].sequence().task;
      if (!add(i)) continue;
      if (last == nullptr || *last != name) ++task;
      last = &name;
      table_.trace.push_back(i);
      table_.task.push_back(task);
      table_.group.push_back(groups[i]);
    }
    keep_movable();
    return std::move(table_);
  }

 private:
  // Labelled traces by task, group and id.
  [[nodiscard]] std::vector<std::size_t> labelled() {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < traces_.size(); ++i)
      (traces_[i].sequence().task.empty() ? table_.unlabelled : order).push_back(i);
    std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) {
      const SequenceInfo &x = traces_[a].sequence(), &y = traces_[b].sequence();
      static const std::string none;
      return std::tie(x.task, options_.groups ? x.group : none, x.id) <
             std::tie(y.task, options_.groups ? y.group : none, y.id);
    });
    return order;
  }

  // Appends the tokens of one trace; false where it has none.
  bool add(std::size_t index) {
    const RoutingTrace& trace = traces_[index];
    const TraceColumns& columns = trace.columns();
    if (!trace.info().same_shape(traces_[0].info()))
      throw invalid_argument("token table: trace ", shown(trace.sequence().id), " has another routing shape");
    if (columns.token_ids.empty() && trace.tokens() > 0)
      throw invalid_argument("token table: expected token ids, trace ", shown(trace.sequence().id), " has none");
    const std::size_t before = table_.tokens();
    for (int t = 0; t < trace.tokens(); ++t) {
      const auto at = static_cast<std::size_t>(t);
      if (!contains(options_.tokens, columns.types[at])) continue;
      known_.clear();
      for (int l = 0; l < trace.layers(); ++l) known_.push_back(is_known(trace, l, t));
      if (std::ranges::find(known_, true) == known_.end()) continue;
      append(trace, t);
      const std::size_t pattern = patterns_.try_emplace(known_, patterns_.size()).first->second;
      strata_[{columns.token_ids[at], columns.types[at] == TokenType::generation, columns.positions[at] == 0, pattern}]
          .push_back(static_cast<std::uint32_t>(table_.tokens() - 1));
    }
    if (table_.tokens() == before) table_.empty.push_back(index);
    return table_.tokens() > before;
  }

  [[nodiscard]] bool is_known(const RoutingTrace& trace, int layer, int token) {
    const RowState state = trace.state(layer, token);
    if (state == RowState::impossible && !options_.drop_invalid) throw impossible_row(trace, layer, token);
    table_.unknown_rows += state == RowState::unknown ? 1 : 0;
    table_.dropped_rows += state == RowState::impossible ? 1 : 0;
    return state == RowState::known;
  }

  void append(const RoutingTrace& trace, int token) {
    table_.prompt.push_back(static_cast<std::uint32_t>(table_.prompts()));
    table_.token_id.push_back(trace.columns().token_ids[static_cast<std::size_t>(token)]);
    for (int l = 0; l < trace.layers(); ++l) {
      const auto row = trace.experts(l, token);
      if (known_[static_cast<std::size_t>(l)])
        table_.rows.insert(table_.rows.end(), row.begin(), row.end());
      else
        table_.rows.insert(table_.rows.end(), row.size(), kNoExpert);
    }
  }

  void keep_movable() {
    for (auto& [key, members] : strata_) {
      const std::uint32_t first = table_.prompt[members.front()], last = table_.prompt[members.back()];
      if (first == last) continue;  // prompts ascend
      table_.movable += members.size();
      table_.across_tasks += table_.task[first] != table_.task[last] ? members.size() : 0;
      table_.strata.push_back(std::move(members));
    }
  }

  std::span<const RoutingTrace> traces_;
  TokenTableOptions options_;
  TokenTable table_;
  std::map<StratumKey, std::vector<std::uint32_t>> strata_;
  std::map<std::vector<bool>, std::size_t> patterns_;
  std::vector<bool> known_;
};

}  // namespace detail

/// The table of the traces that have a task. Throws std::invalid_argument on traces without token ids, and on
/// impossible rows unless `drop_invalid`.
[[nodiscard]] inline TokenTable token_table(std::span<const RoutingTrace> traces,
                                            const TokenTableOptions& options = {}) {
  return detail::TokenTableBuilder(traces, options).build();
}

[[nodiscard]] inline TokenTable token_table(const TraceSet& traces, const TokenTableOptions& options = {}) {
  return token_table(traces.traces(), options);
}

}  // namespace routesig
