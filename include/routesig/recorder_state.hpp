/// \file recorder_state.hpp
/// The order in which a recorder is called, and what an engine may say: checked once, for every recorder.
///
///     struct Counted { std::uint64_t rows = 0; };                       // what a recorder keeps of a sequence
///     routesig::RecorderState<Counted> state("RowRecorder", {});
///     // begin, begin_sequence, step, layer, end_sequence and end of the recorder call those of the state, then:
///     for (std::size_t i = 0; i < state.rows().size(); ++i)
///       if (state.heard(i) == routesig::RowHeard::known) ++state.rows()[i]->rows;
///
/// Calls out of order are std::logic_error, arguments that cannot be std::invalid_argument; either leaves the state as
/// it was before the call, except that a step ends the one before it. Nothing is allocated for a token once the largest
/// step has been seen.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <stdexcept>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "routesig/recorder.hpp"
#include "routesig/trace_columns.hpp"

namespace routesig {

/// What a layer has said of a row.
enum class RowHeard : std::uint8_t {
  known,     ///< its experts
  unknown,   ///< that none are known: every id is kNoExpert
  nonfinite  ///< that its router logits or weights were not finite: its ids are no data
};

template <typename Sequence>
class RecorderState {
 public:
  /// `who`: the recorder's name, for messages. `needs`: what it asked the model for.
  RecorderState(const char* who, RoutingNeeds needs) : who_(who), needs_(needs) {}
  RecorderState(const RecorderState&) = delete;  // rows point into it, and move with it
  RecorderState& operator=(const RecorderState&) = delete;
  RecorderState(RecorderState&&) = default;
  RecorderState& operator=(RecorderState&&) = default;
  ~RecorderState() = default;

  /// Of the run under way.
  [[nodiscard]] const RoutingInfo& info() const noexcept { return info_; }
  [[nodiscard]] std::size_t open_sequences() const noexcept { return open_.size(); }
  /// The sequence of every row of the step under way: [rows]. Empty between steps.
  [[nodiscard]] std::span<Sequence* const> rows() const noexcept { return rows_; }
  /// What the last layer has said of a row of this step.
  [[nodiscard]] RowHeard heard(std::size_t row) const noexcept { return heard_[row]; }
  /// Whether the last layer of this step has been heard.
  [[nodiscard]] bool step_is_whole() const noexcept { return in_step_ && next_layer_ == info_.layers; }

  /// Opens a run. What a run before it, which was interrupted, did not end is given up.
  void begin(const RoutingInfo& info) {
    info.check();
    info_ = info;
    running_ = true;
    end_step();
    open_.clear();
    ended_.clear();
  }

  Sequence& begin_sequence(int number, const SequenceInfo& info, Sequence data) {
    check_running("begin_sequence");
    if (info.prompt_tokens < 0)
      throw invalid_argument(who_, ": expected prompt_tokens of 0 or more, got ", info.prompt_tokens, " (prompt ",
                             shown(info.id), ")");
    if (ended_.contains(number) || open_.contains(number))
      throw invalid_argument(who_, ": sequence ", number, " begun twice");
    return open_.emplace(number, Open{std::move(data), info.id}).first->second.data;
  }

  void step(const StepRows& rows) {
    check_running("step");
    end_step();
    const std::size_t n = rows.rows();
    if (rows.position.size() != n || rows.type.size() != n || (!rows.token.empty() && rows.token.size() != n))
      throw invalid_argument(who_, ": expected ", n, " positions, types and tokens, got ", rows.position.size(), ", ",
                             rows.type.size(), " and ", rows.token.size());
    take_rows(rows);
    heard_.resize(n);
    in_step_ = true;
  }

  void layer(const LayerRouting& routing) {
    check_running("layer");
    if (!in_step_) throw std::logic_error(sentence(who_, ": expected step before layer ", routing.layer));
    if (routing.layer < next_layer_ || routing.layer >= info_.layers)
      throw invalid_argument(who_, ": expected layers to ascend to ", info_.layers - 1, " after each step, got ",
                             routing.layer, " where ", next_layer_, " or more is next");
    const auto k = static_cast<std::size_t>(info_.top_k);
    check_size("expert ids", routing.experts.size(), rows_.size() * k, true);
    check_size("weights", routing.weights.size(), rows_.size() * k, needs_.weights);
    check_size("router logits", routing.logits.size(), rows_.size() * static_cast<std::size_t>(info_.experts),
               needs_.logits);
    check_size("non-finite flags", routing.nonfinite.size(), rows_.size(), false);
    for (std::size_t i = 0; i < rows_.size(); ++i) heard_[i] = heard_of(routing, i, k);
    next_layer_ = routing.layer + 1;
  }

  /// Ends the step under way: layers that were not heard stay unknown.
  void end_step() noexcept {
    rows_.clear();
    in_step_ = false;
    next_layer_ = 0;
  }

  /// Ends the step under way, too.
  Sequence end_sequence(int number) {
    check_running("end_sequence");
    const auto found = open_.find(number);
    if (found == open_.end()) throw invalid_argument(who_, ": sequence ", number, " is not open");
    end_step();
    Sequence data = std::move(found->second.data);
    open_.erase(found);
    ended_.insert(number);
    return data;
  }

  /// Ends the run: ended(number, sequence) hears of every sequence still open, in the order of their numbers.
  template <typename Ended>
  void end(const Ended& ended) {
    check_running("end");
    end_step();
    while (!open_.empty()) {
      auto node = open_.extract(open_.begin());
      ended(node.key(), std::move(node.mapped().data));
    }
    running_ = false;
  }

  void check_running(const char* call) const {
    if (!running_) throw std::logic_error(sentence(who_, ": expected begin before ", call));
  }

 private:
  struct Open {
    Sequence data;
    std::string id;
    std::int32_t position = -1;  // of the last token
    bool has_tokens = false;
  };

  void check_size(const char* what, std::size_t got, std::size_t expected, bool needed) const {
    if (got == expected || (!needed && got == 0)) return;
    throw invalid_argument(who_, ": expected ", expected, " ", what, ", got ", got);
  }

  /// Takes the sequences of a step on to the positions of its rows, or, where one is refused, none of them.
  void take_rows(const StepRows& rows) {
    taken_.clear();
    try {
      for (std::size_t i = 0; i < rows.rows(); ++i) {
        Open& open = open_for(rows, i);
        taken_.push_back({&open, open.position, open.has_tokens});
        open.position = rows.position[i];
        open.has_tokens = !rows.token.empty();
        rows_.push_back(&open.data);
      }
    } catch (...) {
      for (; !taken_.empty(); taken_.pop_back()) {
        taken_.back().open->position = taken_.back().position;
        taken_.back().open->has_tokens = taken_.back().has_tokens;
      }
      rows_.clear();
      throw;
    }
  }

  [[nodiscard]] Open& open_for(const StepRows& rows, std::size_t i) {
    const auto found = open_.find(rows.sequence[i]);
    if (found == open_.end()) throw invalid_argument(who_, ": sequence ", rows.sequence[i], " is not open");
    Open& open = found->second;
    const std::int32_t position = rows.position[i];
    if (position < 0) throw invalid_argument(who_, ": expected positions of 0 or more, got ", position);
    if (position <= open.position)
      throw invalid_argument(who_, ": expected positions of prompt ", shown(open.id), " to ascend, got ", position,
                             " after ", open.position,
                             " (record a draft once it is accepted: its tokens would count twice)");
    if (open.position >= 0 && open.has_tokens == rows.token.empty())
      throw invalid_argument(who_, ": expected token ids for every step of prompt ", shown(open.id), " or for none");
    if (rows.type[i] != TokenType::prompt && rows.type[i] != TokenType::generation)
      throw invalid_argument(who_, ": expected token types 0 (prompt) or 1 (generation), got ",
                             +static_cast<std::uint8_t>(rows.type[i]));
    return open;
  }

  [[nodiscard]] RowHeard heard_of(const LayerRouting& routing, std::size_t row, std::size_t k) const {
    if (!routing.is_finite(row, k)) return RowHeard::nonfinite;
    const auto ids = routing.experts.subspan(row * k, k);
    const RowState state = row_state(ids, info_.experts);
    if (state == RowState::impossible)
      throw invalid_argument(who_, ": expected ", k, " distinct experts below ", info_.experts, " (or ", kNoExpert,
                             " in all places where none are known), got ", listed(ids), " in layer ", routing.layer,
                             ", row ", row);
    return state == RowState::known ? RowHeard::known : RowHeard::unknown;
  }

  [[nodiscard]] static std::string listed(std::span<const ExpertId> ids) {
    std::string text;
    for (const ExpertId id : ids) text += sentence(text.empty() ? "" : ", ", id);
    return text;
  }

  struct Taken {
    Open* open;
    std::int32_t position;  // before this row
    bool has_tokens;
  };

  const char* who_;
  RoutingNeeds needs_;
  RoutingInfo info_;
  bool running_ = false;
  bool in_step_ = false;
  int next_layer_ = 0;
  std::map<int, Open> open_;  // std::map: addresses stay when a sequence is added
  std::unordered_set<int> ended_;
  std::vector<Sequence*> rows_;  // of the step under way
  std::vector<RowHeard> heard_;  // of its last layer
  std::vector<Taken> taken_;
};

}  // namespace routesig
