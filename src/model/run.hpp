// What every run of the model shares: checks before any work, the recorder's begin and end, threads and stopping.
#pragma once

#include <c10/core/InferenceMode.h>

#include <cstddef>
#include <span>
#include <vector>

#include "rotated.hpp"
#include "routesig/model/olmoe.hpp"

namespace routesig::olmoe {

// Sets ATen's threads for as long as it lives: routesig's number, but one for a light model (below 2^20 active weights
// a layer), whose steps are many products of microseconds each. There a second thread gains nothing, and on a busy
// machine waiting for it made a run ten times slower.
class ThreadCount {
 public:
  explicit ThreadCount(const OlmoeConfig& config);
  ~ThreadCount();
  ThreadCount(const ThreadCount&) = delete;
  ThreadCount& operator=(const ThreadCount&) = delete;

 private:
  int before_;
};

// Refuses an empty batch, empty prompts, ids outside the vocabulary, and prompts whose tokens with `new_tokens` more do
// not fit the context. `what` is the caller's name for messages.
void check_prompts(const char* what, std::span<const TokenIds> prompts, int new_tokens, const OlmoeConfig& config);

class Run {
 public:
  // Throws std::invalid_argument where `options` does not fit the prompts.
  Run(const char* what, std::span<const TokenIds> prompts, RoutingRecorder* recorder, const RunOptions& options,
      const OlmoeConfig& config, const RoutingInfo& info);

  void begin() const;
  void end() const;
  void begin_sequence(std::size_t prompt) const;
  void end_sequence(std::size_t prompt) const;
  // To be called before every forward step.
  void poll() const {
    if (options_.should_stop) options_.should_stop();
  }

  [[nodiscard]] RoutingRecorder* recorder() const noexcept { return recorder_; }
  [[nodiscard]] RotatedPass rotated() const noexcept;
  [[nodiscard]] std::int32_t sequence(std::size_t prompt) const;
  // How many tokens of a prompt are prompt; the others were generated earlier.
  [[nodiscard]] std::size_t prompt_tokens(std::size_t prompt) const;

 private:
  [[nodiscard]] SequenceInfo sequence_info(std::size_t prompt) const;

  std::span<const TokenIds> prompts_;
  RoutingRecorder* recorder_;  // may be null
  const RunOptions& options_;
  const RoutingInfo& info_;
  std::vector<RecorderClaim> claims_;
  c10::InferenceMode no_gradients_;
  ThreadCount threads_;
};

}  // namespace routesig::olmoe
