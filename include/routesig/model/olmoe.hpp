/// \file olmoe.hpp
/// OLMoE (arXiv 2409.02060): loads a Hugging Face folder, runs it, and tells a recorder what its routers decided.
///
///     auto model = routesig::OlmoeModel::load("python/routesig/data/tiny-olmoe");
///     routesig::TraceRecorder recorder;
///     const std::vector<std::vector<std::int32_t>> prompts{{5, 17, 300}};
///     const auto answers = model.generate(prompts, {.max_new_tokens = 8}, &recorder);
///     const routesig::RoutingTrace& trace = recorder.traces()[0];     // 3 + 8 - 1 rows: the last token is never fed
///
/// Token ids in, logits and ids out; no tensor type crosses this header. A batch is a list of token-id lists of unequal
/// lengths: padding does not exist for the caller. The results are those of Hugging Face's OlmoeForCausalLM.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "routesig/model/config.hpp"
#include "routesig/recorder.hpp"

namespace routesig {

using TokenIds = std::vector<std::int32_t>;

struct LoadOptions {
  std::string device = "auto";  ///< auto (the first GPU, else the CPU), cpu, cuda or cuda:N
  std::string dtype =
      "auto";  ///< float32, bfloat16, or auto: the checkpoint's (16-bit floats other than bf16: float32)
  /// The same architecture untrained, drawn from this seed: every matrix normal(0, initializer_range), every norm 1.
  /// Needs no weights, only config.json.
  std::optional<std::uint64_t> random_weights{};
  std::string name{};              ///< what traces call the model; empty: the folder's name
  std::string sha256{};            ///< of the weights, where the caller knows it
  std::string tokenizer_sha256{};  ///< of tokenizer.json, where the caller knows it
};

struct GenerateOptions {
  int max_new_tokens = 32;
  double temperature = 0.0;  ///< 0: greedy, ties to the lower id
  std::uint64_t seed = 0;    ///< with the sequence's stream: one draw a token, whatever else is in the batch
  bool ignore_eos = false;
  std::vector<std::uint64_t> streams{};  ///< random stream of each prompt; empty: its sequence number
};

/// Routers that hear the same hidden states as the model's own and decide nothing: for each of them and each layer
/// W Q, with W the layer's router [E, D] and Q [D, D] orthogonal, Haar-random. What their traces separate, any hash of
/// the hidden states would.
class RotatedRouters {
 public:
  struct Impl;
  explicit RotatedRouters(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  [[nodiscard]] std::size_t size() const noexcept;
  /// What recorder `index` is told: the model's, but for the name.
  [[nodiscard]] RoutingInfo info(std::size_t index) const;
  [[nodiscard]] const Impl& impl() const noexcept { return *impl_; }

 private:
  std::shared_ptr<const Impl> impl_;
};

/// How a run is told to its recorder, and how it may be stopped.
struct RunOptions {
  std::vector<SequenceInfo> sequences{};  ///< one for each prompt; empty: ids "0", "1", ... of the sequence numbers
  int first_sequence = 0;                 ///< sequence number of the first prompt
  bool begun = false;                     ///< the caller calls the recorder's begin and end: many runs, one recording
  std::function<void()> should_stop{};    ///< called before every forward step; may throw, which ends the run
  /// Routers to hear beside the model's own, and one recorder for each.
  std::optional<RotatedRouters> rotated{};
  std::vector<RoutingRecorder*> rotated_recorders{};
};

class OlmoeModel {
 public:
  /// Reads config.json and *.safetensors in `folder`; refuses what disagrees before any multiplication.
  [[nodiscard]] static OlmoeModel load(const std::filesystem::path& folder, const LoadOptions& options = {});

  OlmoeModel(OlmoeModel&&) noexcept;
  OlmoeModel& operator=(OlmoeModel&&) noexcept;
  ~OlmoeModel();

  [[nodiscard]] const OlmoeConfig& config() const noexcept;
  [[nodiscard]] const RoutingInfo& info() const noexcept;
  [[nodiscard]] const std::string& device() const noexcept;  ///< cpu, cuda:0, ...

  /// Logits of every token of every prompt: for each [tokens, vocab], row-major.
  [[nodiscard]] std::vector<std::vector<float>> forward(std::span<const TokenIds> token_ids,
                                                        RoutingRecorder* recorder = nullptr,
                                                        const RunOptions& run = {}) const;

  /// Continues every prompt. Returns the new ids only, a stop token included.
  [[nodiscard]] std::vector<TokenIds> generate(std::span<const TokenIds> prompts, const GenerateOptions& options = {},
                                               RoutingRecorder* recorder = nullptr, const RunOptions& run = {}) const;

  /// `count` rotations of this model's routers.
  [[nodiscard]] RotatedRouters rotated_routers(int count, std::uint64_t seed = 0) const;

  /// Forces `token_ids` through the model for the recorder alone; no logits are computed. Tokens from
  /// SequenceInfo::prompt_tokens on count as generated (0, or no sequences given: all are prompt).
  void replay(std::span<const TokenIds> token_ids, RoutingRecorder& recorder, const RunOptions& run = {}) const;

 private:
  struct Impl;
  explicit OlmoeModel(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace routesig
