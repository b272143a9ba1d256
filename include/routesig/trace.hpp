/// \file trace.hpp
/// Recorded routing in memory: one immutable trace a prompt, a set of them, and the recorder that makes them.
///
///     routesig::TraceRecorder recorder;
///     model.forward(token_ids, &recorder);
///     const routesig::RoutingTrace& trace = recorder.traces()[0];
///     const auto best = trace.experts(/*layer=*/3, /*token=*/0)[0];
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "routesig/recorder_state.hpp"
#include "routesig/trace_columns.hpp"

namespace routesig {

/// The routing of one prompt. Immutable, and cheap to copy: copies share the arrays.
class RoutingTrace {
 public:
  /// Throws std::invalid_argument where the arrays do not fit `info` or positions do not ascend. Ids are not judged
  /// here (see `row_state`), but rows whose weights are not finite become unknown.
  RoutingTrace(std::shared_ptr<const RoutingInfo> info, SequenceInfo sequence, TraceColumns columns)
      : info_(std::move(info)) {
    if (info_ == nullptr) throw invalid_argument("trace: expected routing information, got a null pointer");
    info_->check();
    check_sizes(sequence, columns);
    forget_nonfinite_rows(columns, info_->top_k);
    sequence_ = std::make_shared<const SequenceInfo>(std::move(sequence));
    columns_ = std::make_shared<const TraceColumns>(std::move(columns));
  }

  /// The same routing of the same prompt under another task ("": unlabelled). Shares the arrays.
  [[nodiscard]] RoutingTrace with_task(std::string task) const {
    SequenceInfo sequence = *sequence_;
    sequence.task = std::move(task);
    RoutingTrace out = *this;
    out.sequence_ = std::make_shared<const SequenceInfo>(std::move(sequence));
    return out;
  }

  [[nodiscard]] const RoutingInfo& info() const noexcept { return *info_; }
  [[nodiscard]] const std::shared_ptr<const RoutingInfo>& shared_info() const noexcept { return info_; }
  [[nodiscard]] const SequenceInfo& sequence() const noexcept { return *sequence_; }
  [[nodiscard]] const TraceColumns& columns() const noexcept { return *columns_; }

  [[nodiscard]] int layers() const noexcept { return info_->layers; }
  [[nodiscard]] int top_k() const noexcept { return info_->top_k; }
  [[nodiscard]] int tokens() const noexcept { return static_cast<int>(columns().positions.size()); }

  /// The experts of one row, best first: [top_k].
  [[nodiscard]] std::span<const ExpertId> experts(int layer, int token) const noexcept {
    return std::span(columns().experts).subspan(row_offset(layer, token), static_cast<std::size_t>(top_k()));
  }
  /// The applied weights of one row, or nothing where none were recorded: [top_k].
  [[nodiscard]] std::span<const float> weights(int layer, int token) const noexcept {
    if (columns().weights.empty()) return {};
    return std::span(columns().weights).subspan(row_offset(layer, token), static_cast<std::size_t>(top_k()));
  }
  [[nodiscard]] RowState state(int layer, int token) const noexcept {
    return row_state(experts(layer, token), info_->experts);
  }
  /// Rows for which no routing is known, summed over layers.
  [[nodiscard]] std::uint64_t unknown_rows() const noexcept {
    return routesig::unknown_rows(columns().experts, top_k());
  }

 private:
  [[nodiscard]] std::size_t row_offset(int layer, int token) const noexcept {
    return (static_cast<std::size_t>(token) * static_cast<std::size_t>(layers()) + static_cast<std::size_t>(layer)) *
           static_cast<std::size_t>(top_k());
  }

  void check_sizes(const SequenceInfo& sequence, const TraceColumns& c) const {
    const auto check = [&](const char* what, std::size_t got, std::size_t expected, bool may_be_empty) {
      if (got == expected || (may_be_empty && got == 0)) return;
      throw invalid_argument("trace: expected ", expected, " ", what, ", got ", got, " (trace ", shown(sequence.id),
                             ")");
    };
    const std::size_t n = c.positions.size();
    const std::size_t rows = n * static_cast<std::size_t>(layers());
    check("token types", c.types.size(), n, false);
    check("expert ids", c.experts.size(), rows * static_cast<std::size_t>(top_k()), false);
    check("weights", c.weights.size(), c.experts.size(), true);
    check("router logits", c.router_logits.size(), rows * static_cast<std::size_t>(info_->experts), true);
    check("token ids", c.token_ids.size(), n, true);
    check("token texts", c.token_texts.size(), n, true);
    if (const auto token = first_repeated_position(c.positions))
      throw invalid_argument("trace: ", detail::repeated_position(c.positions, *token, "trace " + shown(sequence.id)));
  }

  std::shared_ptr<const RoutingInfo> info_;
  std::shared_ptr<const SequenceInfo> sequence_;
  std::shared_ptr<const TraceColumns> columns_;
};

/// How a set of traces was made, as far as that is known; settings are kept as the JSON text of the file's header.
struct RunInfo {
  std::string settings{};  ///< a JSON object, or ""
  std::optional<std::uint64_t> prompts{};
  std::string prompts_sha256{};
  std::string command{};  ///< the shell command that recorded them, or ""

  /// The same run, whatever was typed for it.
  friend bool operator==(const RunInfo& a, const RunInfo& b) {
    return a.settings == b.settings && a.prompts == b.prompts && a.prompts_sha256 == b.prompts_sha256;
  }
};

/// Traces of one routing shape.
class TraceSet {
 public:
  TraceSet() = default;
  /// `info`: what a set without traces knows of its routing, from a file's header or from the set it is a part of.
  explicit TraceSet(std::vector<RoutingTrace> traces, RunInfo run = {}, bool complete = true,
                    std::shared_ptr<const RoutingInfo> info = nullptr)
      : info_(std::move(info)), run_(std::move(run)), complete_(complete) {
    traces_.reserve(traces.size());
    for (RoutingTrace& trace : traces) push_back(std::move(trace));
  }

  void push_back(RoutingTrace trace) {
    if (!traces_.empty() && !traces_.front().info().same_shape(trace.info())) {
      const RoutingInfo &a = traces_.front().info(), &b = trace.info();
      throw invalid_argument("traces: expected ", a.layers, " layers x ", a.experts, " experts x top-", a.top_k,
                             ", got ", b.layers, " x ", b.experts, " x top-", b.top_k, " (trace ",
                             shown(trace.sequence().id), ")");
    }
    traces_.push_back(std::move(trace));
  }

  [[nodiscard]] std::size_t size() const noexcept { return traces_.size(); }
  [[nodiscard]] bool empty() const noexcept { return traces_.empty(); }
  [[nodiscard]] const RoutingTrace& operator[](std::size_t i) const noexcept { return traces_[i]; }
  [[nodiscard]] const RoutingTrace& at(std::size_t i) const { return traces_.at(i); }
  [[nodiscard]] auto begin() const noexcept { return traces_.begin(); }
  [[nodiscard]] auto end() const noexcept { return traces_.end(); }
  [[nodiscard]] std::span<const RoutingTrace> traces() const noexcept { return traces_; }
  [[nodiscard]] const RunInfo& run() const noexcept { return run_; }
  /// Shape and model: the first trace's, or what a set without traces knows; may be null.
  [[nodiscard]] const std::shared_ptr<const RoutingInfo>& info() const noexcept {
    return traces_.empty() ? info_ : traces_.front().shared_info();
  }
  /// False where the file ended before its last line and was read with `recover`.
  [[nodiscard]] bool complete() const noexcept { return complete_; }

  /// Tokens left out where positions repeated or decreased (TraceColumns::dropped_tokens), over all traces.
  [[nodiscard]] std::uint64_t dropped_tokens() const noexcept {
    std::uint64_t dropped = 0;
    for (const RoutingTrace& trace : traces_) dropped += trace.columns().dropped_tokens;
    return dropped;
  }

  /// The same prompts as heard by routers rotated at random (OlmoeModel::rotated_routers), where these were asked for.
  /// Kept in memory only: no file holds them.
  [[nodiscard]] const std::vector<TraceSet>& rotated() const noexcept { return rotated_; }
  void set_rotated(std::vector<TraceSet> rotated) {
    for (const TraceSet& one : rotated)
      if (one.size() != size())
        throw invalid_argument("traces: expected ", size(), " traces from every rotated router, got ", one.size());
    rotated_ = std::move(rotated);
  }

  /// The traces at `indices`, in this order, and those of rotated routers alike.
  [[nodiscard]] TraceSet take(std::span<const std::size_t> indices) const {
    TraceSet out({}, run_, complete_, info());
    for (const std::size_t i : indices) out.push_back(traces_.at(i));
    for (const TraceSet& one : rotated_) out.rotated_.push_back(one.take(indices));
    return out;
  }

  /// The traces of both, in order. How they were made is kept where both say the same.
  [[nodiscard]] friend TraceSet operator+(const TraceSet& a, const TraceSet& b) {
    if (a.rotated_.size() != b.rotated_.size())
      throw invalid_argument("traces: expected as many rotated routers in both sets, got ", a.rotated_.size(), " and ",
                             b.rotated_.size());
    TraceSet out({}, a.run_ == b.run_ ? a.run_ : RunInfo{}, a.complete_ && b.complete_, a.info() ? a.info() : b.info());
    for (const TraceSet* one : {&a, &b})
      for (const RoutingTrace& trace : *one) out.push_back(trace);
    for (std::size_t i = 0; i < a.rotated_.size(); ++i) out.rotated_.push_back(a.rotated_[i] + b.rotated_[i]);
    return out;
  }

  /// The same traces under other tasks: [size()], "" where unlabelled.
  [[nodiscard]] TraceSet with_tasks(std::span<const std::string> tasks) const {
    if (tasks.size() != size()) throw invalid_argument("traces: expected ", size(), " tasks, got ", tasks.size());
    TraceSet out({}, run_, complete_, info());
    for (std::size_t i = 0; i < size(); ++i) out.push_back(traces_[i].with_task(tasks[i]));
    for (const TraceSet& one : rotated_) out.rotated_.push_back(one.with_tasks(tasks));
    return out;
  }

 private:
  std::vector<RoutingTrace> traces_;
  std::shared_ptr<const RoutingInfo> info_;
  RunInfo run_;
  bool complete_ = true;
  std::vector<TraceSet> rotated_;
};

/// Keeps whole traces in memory, in the order of their sequence numbers, run after run.
class TraceRecorder final : public RoutingRecorder {
 public:
  /// `vocabulary`: the text of every token id, for TraceColumns::token_texts; may be null.
  explicit TraceRecorder(RoutingNeeds needs = {.weights = true},
                         std::shared_ptr<const std::vector<std::string>> vocabulary = nullptr)
      : needs_(needs), vocabulary_(std::move(vocabulary)), state_("TraceRecorder", needs) {}

  [[nodiscard]] RoutingNeeds needs() const override { return needs_; }
  /// The finished traces. The reference is good until the next `end`, which another thread may not call meanwhile; a
  /// `snapshot` is good for ever, and may be taken while another thread records.
  [[nodiscard]] const TraceSet& traces() const noexcept { return *published_.traces; }
  [[nodiscard]] std::shared_ptr<const TraceSet> snapshot() const { return published_.get(); }

  void begin(const RoutingInfo& info) override {
    if (!traces().empty() && !traces()[0].info().same_shape(info))
      throw invalid_argument("TraceRecorder: expected one routing shape, got another model's (use a new recorder)");
    state_.begin(info);
    info_ = std::make_shared<const RoutingInfo>(info);
    finished_.clear();
  }

  void begin_sequence(int sequence, const SequenceInfo& info) override {
    state_.begin_sequence(sequence, info, Recorded{info, {}});
  }

  void step(const StepRows& rows) override {
    state_.step(rows);
    const std::size_t k = size(state_.info().layers) * size(state_.info().top_k);
    tokens_.resize(rows.rows());
    for (std::size_t i = 0; i < rows.rows(); ++i) {
      TraceColumns& c = state_.rows()[i]->columns;
      tokens_[i] = c.positions.size();
      c.positions.push_back(rows.position[i]);
      c.types.push_back(rows.type[i]);
      if (!rows.token.empty()) c.token_ids.push_back(rows.token[i]);
      c.experts.resize(c.experts.size() + k, kNoExpert);
      if (needs_.weights) c.weights.resize(c.weights.size() + k, std::nanf(""));
      if (needs_.logits)
        c.router_logits.resize(c.router_logits.size() + size(state_.info().layers) * size(state_.info().experts),
                               std::nanf(""));
    }
  }

  void layer(const LayerRouting& routing) override {
    state_.layer(routing);
    const std::size_t k = size(state_.info().top_k), experts = size(state_.info().experts);
    for (std::size_t i = 0; i < state_.rows().size(); ++i) {
      TraceColumns& c = state_.rows()[i]->columns;
      const std::size_t row = tokens_[i] * size(state_.info().layers) + size(routing.layer);
      if (state_.heard(i) == RowHeard::known)
        std::ranges::copy(routing.experts.subspan(i * k, k), c.experts.data() + row * k);
      c.nonfinite_rows += state_.heard(i) == RowHeard::nonfinite ? 1U : 0U;
      if (needs_.weights) std::ranges::copy(routing.weights.subspan(i * k, k), c.weights.data() + row * k);
      if (needs_.logits)
        std::ranges::copy(routing.logits.subspan(i * experts, experts), c.router_logits.data() + row * experts);
    }
  }

  void end_sequence(int sequence) override { finish(sequence, state_.end_sequence(sequence)); }

  /// Ends the run; sequences still open are kept as they are.
  void end() override {
    state_.end([&](int sequence, Recorded recorded) { finish(sequence, std::move(recorded)); });
    std::vector<RoutingTrace> all(traces().begin(), traces().end());
    for (auto& [sequence, trace] : finished_) all.push_back(std::move(trace));
    finished_.clear();
    published_.set(std::make_shared<const TraceSet>(std::move(all), traces().run(), true, info_));
  }

 private:
  struct Recorded {
    SequenceInfo info;
    TraceColumns columns;
  };

  /// The finished traces, which other threads may ask for.
  struct Published {
    Published() = default;
    Published(Published&& other) noexcept { traces = other.traces; }  // copied: the one moved from still has some
    Published& operator=(Published&& other) noexcept {
      traces = other.traces;
      return *this;
    }
    Published(const Published&) = delete;
    Published& operator=(const Published&) = delete;
    ~Published() = default;

    [[nodiscard]] std::shared_ptr<const TraceSet> get() const {
      const std::scoped_lock lock(mutex);
      return traces;
    }
    void set(std::shared_ptr<const TraceSet> next) {
      const std::scoped_lock lock(mutex);
      traces.swap(next);
    }

    mutable std::mutex mutex;
    std::shared_ptr<const TraceSet> traces = std::make_shared<const TraceSet>();
  };

  [[nodiscard]] static std::size_t size(int count) noexcept { return static_cast<std::size_t>(count); }

  void finish(int sequence, Recorded recorded) {
    TraceColumns& c = recorded.columns;
    if (vocabulary_ != nullptr)
      for (const std::int32_t id : c.token_ids)
        c.token_texts.push_back(id >= 0 && std::cmp_less(id, vocabulary_->size())
                                    ? (*vocabulary_)[static_cast<std::size_t>(id)]
                                    : std::string());
    finished_.emplace(sequence, RoutingTrace(info_, std::move(recorded.info), std::move(c)));
  }

  RoutingNeeds needs_;
  std::shared_ptr<const std::vector<std::string>> vocabulary_;
  RecorderState<Recorded> state_;
  std::shared_ptr<const RoutingInfo> info_;  // what the traces of this run share
  std::map<int, RoutingTrace> finished_;     // of the current run
  std::vector<std::size_t> tokens_;          // where each row of the step under way lies in its sequence
  Published published_;
};

/// The number of each trace's group, -1 where it has none: [traces].
[[nodiscard]] inline std::vector<int> group_numbers(std::span<const RoutingTrace> traces) {
  std::map<std::string_view, int> number;
  std::vector<int> out;
  out.reserve(traces.size());
  for (const RoutingTrace& trace : traces) {
    const std::string& group = trace.sequence().group;
    const auto next = static_cast<int>(number.size());
    out.push_back(group.empty() ? -1 : number.try_emplace(group, next).first->second);
  }
  return out;
}

}  // namespace routesig
