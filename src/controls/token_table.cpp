#include "routesig/controls/token_table.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "routesig/error.hpp"
#include "routesig/trace_columns.hpp"

namespace routesig {

TokenTable TokenTable::crossing() const {
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
namespace {

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

}  // namespace
}  // namespace detail

TokenTable token_table(std::span<const RoutingTrace> traces, const TokenTableOptions& options) {
  return detail::TokenTableBuilder(traces, options).build();
}

TokenTable token_table(const TraceSet& traces, const TokenTableOptions& options) {
  return token_table(traces.traces(), options);
}

}  // namespace routesig
