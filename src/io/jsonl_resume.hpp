/// \file jsonl_resume.hpp
/// What an earlier recording left behind, and whether a new one may go on with it.
///
///     Earlier earlier = read_earlier(partial, {.recover = true});
///     check_same_run(partial, earlier.run, options.run);      // throws naming what differs
///     check_same_model(partial, earlier.info, info);
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "routesig/io/jsonl.hpp"

namespace routesig::io {

struct Earlier {
  RoutingInfo info{};
  RunInfo run{};
  std::vector<std::string> ids{};  ///< of the whole prompts
  std::string bytes{};             ///< the header and the lines of the whole prompts, byte for byte
  std::uint64_t tokens = 0;        ///< of the whole prompts
  bool any_weights = false;
  bool any_without_weights = false;
};

/// Throws FormatError where the file is damaged before its torn tail.
[[nodiscard]] Earlier read_earlier(const std::filesystem::path& path, const ReadOptions& options);

/// Whether `path` is there and holds one whole line or more.
[[nodiscard]] bool has_whole_line(const std::filesystem::path& path);

/// Throw std::invalid_argument naming the first thing that differs, the file's value and ours.
void check_same_run(const std::string& path, const RunInfo& file, const RunInfo& ours);
void check_same_model(const std::string& path, const RoutingInfo& file, const RoutingInfo& ours);
void check_same_weights(const std::string& path, const Earlier& file, bool ours);

}  // namespace routesig::io
