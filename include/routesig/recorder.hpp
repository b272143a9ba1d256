/// \file recorder.hpp
/// The one virtual seam: a model tells a recorder what its routers decided, in spans, never in tensors.
///
///     struct CountRows : routesig::RoutingRecorder {
///       void step(const routesig::StepRows& rows) override { count += rows.rows(); }
///       void layer(const routesig::LayerRouting&) override {}
///       std::size_t count = 0;
///     };
///
/// Order of calls: begin, then any interleaving of begin_sequence / (step, then every layer once, ascending) /
/// end_sequence, then end. A recorder observes; it cannot change what the model computes. Sequences may share steps;
/// the positions of one ascend. A row whose router logits were not finite is recorded as not known, and counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "routesig/routing.hpp"

namespace routesig {

class RoutingRecorder {
 public:
  RoutingRecorder() = default;
  RoutingRecorder(const RoutingRecorder&) = default;
  RoutingRecorder& operator=(const RoutingRecorder&) = default;
  RoutingRecorder(RoutingRecorder&&) = default;
  RoutingRecorder& operator=(RoutingRecorder&&) = default;
  virtual ~RoutingRecorder() = default;

  /// What is wanted beside the ids.
  [[nodiscard]] virtual RoutingNeeds needs() const { return {}; }
  virtual void begin(const RoutingInfo& /*info*/) {}
  /// `sequence` is the number that StepRows::sequence will carry; a number is not used twice in one run.
  virtual void begin_sequence(int /*sequence*/, const SequenceInfo& /*info*/) {}
  virtual void step(const StepRows& rows) = 0;
  virtual void layer(const LayerRouting& routing) = 0;
  virtual void end_sequence(int /*sequence*/) {}
  virtual void end() {}
};

/// How far a recorded sequence has come. Positions ascend: what a model takes back, such as a rejected draft, would
/// count twice.
class SequencePosition {
 public:
  explicit SequencePosition(std::string id) : id_(std::move(id)) {}

  /// Throws std::invalid_argument where `position` is not after the one before it. `who` is for the message.
  void take(const char* who, std::int32_t position) {
    if (position < 0) throw invalid_argument(who, ": expected positions of 0 or more, got ", position);
    if (position <= next_)
      throw invalid_argument(who, ": expected positions of prompt ", shown(id_), " to ascend, got ", position,
                             " after ", next_, " (record a draft once it is accepted: its tokens would count twice)");
    next_ = position;
  }
  void keep() noexcept { last_ = next_; }
  void undo() noexcept { next_ = last_; }

 private:
  std::string id_;
  std::int32_t last_ = -1, next_ = -1;
};

/// Takes the sequences of a step on to the positions of its rows, or, where one is refused, none of them. `of(i)` is
/// the SequencePosition of row i.
template <typename Of>
void take_positions(const char* who, const StepRows& rows, const Of& of) {
  std::size_t taken = 0;
  try {
    for (; taken < rows.rows(); ++taken) of(taken).take(who, rows.position[taken]);
  } catch (...) {
    for (std::size_t i = 0; i < taken; ++i) of(i).undo();
    throw;
  }
  for (std::size_t i = 0; i < taken; ++i) of(i).keep();
}

/// Passes everything on to several recorders, in the order given. Does not own them.
class TeeRecorder final : public RoutingRecorder {
 public:
  explicit TeeRecorder(std::vector<RoutingRecorder*> recorders) : recorders_(std::move(recorders)) {
    for (const RoutingRecorder* recorder : recorders_)
      if (recorder == nullptr) throw invalid_argument("TeeRecorder: expected recorders, got a null pointer");
  }

  [[nodiscard]] RoutingNeeds needs() const override {
    RoutingNeeds all;
    for (const RoutingRecorder* recorder : recorders_) all = all | recorder->needs();
    return all;
  }
  void begin(const RoutingInfo& info) override {
    for (RoutingRecorder* recorder : recorders_) recorder->begin(info);
  }
  void begin_sequence(int sequence, const SequenceInfo& info) override {
    for (RoutingRecorder* recorder : recorders_) recorder->begin_sequence(sequence, info);
  }
  void step(const StepRows& rows) override {
    for (RoutingRecorder* recorder : recorders_) recorder->step(rows);
  }
  void layer(const LayerRouting& routing) override {
    for (RoutingRecorder* recorder : recorders_) recorder->layer(routing);
  }
  void end_sequence(int sequence) override {
    for (RoutingRecorder* recorder : recorders_) recorder->end_sequence(sequence);
  }
  void end() override {
    for (RoutingRecorder* recorder : recorders_) recorder->end();
  }

 private:
  std::vector<RoutingRecorder*> recorders_;
};

}  // namespace routesig
