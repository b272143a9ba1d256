/// \file recorder.hpp
/// The one virtual seam: a model tells a recorder what its routers decided, in spans, never in tensors.
///
///     struct CountRows : routesig::RoutingRecorder {
///       void step(const routesig::StepRows& rows) override { count += rows.rows(); }
///       void layer(const routesig::LayerRouting&) override {}
///       std::size_t count = 0;
///     };
///
/// Order of calls: begin, then any interleaving of begin_sequence / (step, then layers, ascending) / end_sequence, then
/// end. A layer that is left out is recorded as not known. A recorder observes; it cannot change what the model
/// computes. Sequences may share steps; the positions of one ascend. A row whose router logits were not finite is
/// recorded as not known, and counted. Recorders of this library refuse anything else (recorder_state.hpp).
#pragma once

#include <atomic>
#include <stdexcept>
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

 private:
  friend class RecorderClaim;
  struct Claimed {
    Claimed() = default;
    Claimed(const Claimed& /*other*/) noexcept {}  // a copy is nobody's
    Claimed& operator=(const Claimed& /*other*/) noexcept { return *this; }
    ~Claimed() = default;
    std::atomic<bool> taken = false;
  };
  Claimed claimed_;
};

/// Holds a recorder for one run. A recorder hears one run at a time: claiming it while another run holds it, as a
/// second thread would, is std::logic_error. Models claim theirs.
class RecorderClaim {
 public:
  explicit RecorderClaim(RoutingRecorder& recorder) : recorder_(&recorder) {
    if (recorder.claimed_.taken.exchange(true))
      throw std::logic_error(
          "recorder: expected one that hears nobody else, got one in use by another run (give each run its own)");
  }
  RecorderClaim(RecorderClaim&& other) noexcept : recorder_(std::exchange(other.recorder_, nullptr)) {}
  RecorderClaim(const RecorderClaim&) = delete;
  RecorderClaim& operator=(const RecorderClaim&) = delete;
  RecorderClaim& operator=(RecorderClaim&&) = delete;
  ~RecorderClaim() {
    if (recorder_ != nullptr) recorder_->claimed_.taken = false;
  }

 private:
  RoutingRecorder* recorder_;
};

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
