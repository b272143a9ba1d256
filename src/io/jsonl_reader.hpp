/// \file jsonl_reader.hpp
/// The walk over a trace file that `read_jsonl` and a resumed recording share.
///
///     JsonlReader reader(bytes, "traces.jsonl", {.recover = true}, warn);
///     reader.read();
///     const TraceSet traces = reader.take();
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "crc32c.hpp"
#include "jsonl_object.hpp"
#include "jsonl_token.hpp"
#include "routesig/io/jsonl.hpp"

namespace routesig::io {

class JsonlReader {
 public:
  struct Prompt {
    SequenceInfo sequence;
    TraceColumns columns;
    bool ended = false;
  };
  /// Where a line stands and whose it is.
  struct Line {
    std::size_t begin, end;  ///< with its line feed
    std::size_t prompt;      ///< kHeader for the header
  };
  static constexpr std::size_t kHeader = std::numeric_limits<std::size_t>::max();

  JsonlReader(std::string_view bytes, std::string name, const ReadOptions& options, const Warn& warn,
              bool keep_lines = false);
  /// Reads everything. Throws FormatError.
  void read();
  /// The traces; once, after `read`.
  [[nodiscard]] TraceSet take();

  [[nodiscard]] bool complete() const noexcept { return complete_; }
  [[nodiscard]] const std::shared_ptr<RoutingInfo>& info() const noexcept { return info_; }
  [[nodiscard]] const RunInfo& run() const noexcept { return run_; }
  [[nodiscard]] const std::vector<Prompt>& prompts() const noexcept { return prompts_; }
  [[nodiscard]] const std::vector<Line>& lines() const noexcept { return lines_; }

 private:
  struct StringHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
  };

  [[noreturn]] void fail(std::string_view problem) const;
  void read_line(std::string_view line, std::size_t begin);
  void read_header(std::string_view line);
  void read_routing(JsonCursor& json);
  void check_version(std::string_view line);
  void read_prompt(std::string_view line, std::size_t begin);
  void read_fields(JsonCursor& json, std::string_view line, std::vector<Field>& fields);
  void read_token(std::string_view line, std::size_t begin);
  void append_token(Prompt& prompt);
  void read_prompt_end(std::string_view line, std::size_t begin);
  void read_end(std::string_view line, std::size_t begin);
  void cut_off(std::size_t torn_bytes);
  /// The prompt of that id, kHeader where there is none; remembered as `last_prompt_`.
  [[nodiscard]] std::size_t find_prompt(std::string_view id);
  [[nodiscard]] Prompt& open_prompt(std::string_view id);
  [[nodiscard]] JsonCursor cursor(std::string_view line, std::size_t begin) const { return {line, name_, begin}; }

  std::string_view bytes_;
  std::string name_;
  ReadOptions options_;
  const Warn& warn_;
  bool keep_lines_;
  IgnoredFields ignored_;
  ArrayBudget budget_;

  std::uint64_t line_ = 0;  // of the line being read, from 1
  std::shared_ptr<RoutingInfo> info_ = std::make_shared<RoutingInfo>();
  RunInfo run_;
  std::vector<Prompt> prompts_;
  std::unordered_map<std::string, std::size_t, StringHash, std::equal_to<>> by_id_;
  std::size_t last_prompt_ = 0;
  std::optional<TokenLineReader> token_line_;
  std::vector<Line> lines_;
  std::uint64_t tokens_ = 0;
  Crc32c crc_;
  bool complete_ = false;
};

/// Whether the first line is one of the event form.
[[nodiscard]] bool looks_like_events(std::string_view bytes) noexcept;
/// The event form: one line per event, without a header.
[[nodiscard]] TraceSet parse_events(std::string_view bytes, const std::string& name, const ReadOptions& options,
                                    const Warn& warn);

}  // namespace routesig::io
