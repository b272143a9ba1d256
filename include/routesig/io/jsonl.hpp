/// \file jsonl.hpp
/// Trace files, "Trace JSONL, version 1" (docs/formats.md): written while a model runs, read back checked.
///
///     routesig::JsonlRecorder recorder("traces.jsonl");          // writes traces.jsonl.partial
///     model.forward(token_ids, &recorder);
///     recorder.close();                                          // last line, sync, rename to traces.jsonl
///     const routesig::TraceSet traces = routesig::read_jsonl("traces.jsonl");
///
/// Router logits are no part of the format: they live in memory only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "routesig/recorder.hpp"
#include "routesig/trace.hpp"

namespace routesig {

struct JsonlOptions {
  RunInfo run{};        ///< settings and prompts, for the header; what `resume` compares
  bool weights = true;  ///< record the applied weights beside the ids
  std::shared_ptr<const std::vector<std::string>>
      vocabulary{};        ///< text of every token id, for `token_texts`; may be null
  bool resume = false;     ///< go on with an earlier run: see JsonlRecorder
  bool overwrite = false;  ///< give up what an interrupted run left in PATH.partial
};

/// Streams traces to disk.
///
/// With `resume`, the whole prompts of an earlier PATH.partial are kept byte for byte, the rest is dropped, and
/// recording goes on after them; `kept` names the prompts to leave out. Settings and prompts are compared when it is
/// made, the model in `begin`; nothing is changed on disk before both agree. A finished PATH without a partial file
/// keeps all its prompts. Without either, and without `resume`, the recording starts afresh. A partial file that is not
/// resumed is a FileError (EEXIST) unless `overwrite` gives it up.
///
/// One model call may follow another (begin ... end, begin ... end); `end` flushes, only `close` makes the file whole.
/// Destroyed without `close`, the partial file stays and is readable with `recover`.
class JsonlRecorder final : public RoutingRecorder {
 public:
  explicit JsonlRecorder(std::filesystem::path path, JsonlOptions options = {});
  JsonlRecorder(const JsonlRecorder&) = delete;
  JsonlRecorder& operator=(const JsonlRecorder&) = delete;
  ~JsonlRecorder() override;

  [[nodiscard]] RoutingNeeds needs() const override;
  void begin(const RoutingInfo& info) override;
  /// Ids are unique in a file: a repeated one is std::invalid_argument.
  void begin_sequence(int sequence, const SequenceInfo& info) override;
  void step(const StepRows& rows) override;
  /// Layers ascend; one that is left out is written as not known.
  void layer(const LayerRouting& routing) override;
  void end_sequence(int sequence) override;
  /// Ends the sequences still open, in the order of their numbers, and flushes.
  void end() override;

  /// What was recorded so far survives the end of the process.
  void flush();
  /// What was recorded so far survives a power cut.
  void sync();
  /// Writes the end line, syncs, renames to the final name. Throws FileError where the disk does not take it.
  void close();

  /// Ids of the whole prompts that `resume` found.
  [[nodiscard]] const std::vector<std::string>& kept() const noexcept;

 private:
  class Writer;
  std::unique_ptr<Writer> writer_;
};

struct ReadOptions {
  bool recover = false;  ///< read the whole lines of a file that was cut off; TraceSet::complete() is then false
  int experts = 0;       ///< for the event form, which does not say how many there are; 0: the largest id + 1
  /// Of tokens whose positions repeat or decrease keep the later ones (`kept_tokens`), counted, instead of refusing
  /// them.
  bool drop_invalid = false;
};

/// Hears one sentence for each thing that is not wrong but should be known: an ignored field, what `recover` dropped,
/// router logits that a file does not hold.
using Warn = std::function<void(const std::string&)>;

/// Reads a trace file, finished or partial, or the event form. Throws FormatError where it is not one, FileError where
/// it cannot be opened.
[[nodiscard]] TraceSet read_jsonl(const std::filesystem::path& path, const ReadOptions& options = {},
                                  const Warn& warn = {});

/// The same from memory; `name` stands in messages for the path.
[[nodiscard]] TraceSet parse_jsonl(std::string_view bytes, const std::string& name, const ReadOptions& options = {},
                                   const Warn& warn = {});

/// Writes `traces` as one whole file. The same traces give the same bytes. A set without traces needs to know its
/// routing. `warn` hears of router logits, which are left out, before anything is written.
void save_jsonl(const TraceSet& traces, const std::filesystem::path& path, const Warn& warn = {});

/// The header and the prompt lines of that file, for formats that keep tokens in columns of their own. `parse_jsonl`
/// with `recover` reads them as prompts without tokens.
[[nodiscard]] std::string jsonl_head(const TraceSet& traces);

/// Whether a file that begins with `first_bytes` (some hundred are enough) is a trace file or the event form.
[[nodiscard]] bool looks_like_jsonl_trace(std::string_view first_bytes) noexcept;

}  // namespace routesig
